"""One module per message. The only folder that needs a lease, and the only one that the dispatcher loads."""
