"""Images: from references to digests and bytes, the local image store, and the lock file."""
