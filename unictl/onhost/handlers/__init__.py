"""The handlers of messages (``protocol.messages`` says which message goes to which), by what they are about: the lease,
images, volumes, launches and so on. The only folder that needs a lease, and the only one that the dispatcher loads.
"""
