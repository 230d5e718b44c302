"""The wire protocol, used by both ends of a connection: frames, content-defined chunks, and the context of one
request.
"""
