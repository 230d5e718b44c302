"""References -> digests and bytes; local store; the lock file."""
