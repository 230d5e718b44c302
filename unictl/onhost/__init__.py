"""What runs on a host: standard library only, Python 3.9+, imports nothing of unictl."""
