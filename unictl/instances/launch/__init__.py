"""What a host is handed to start an instance: addresses, launch document, health probes; preflight. Pure."""
