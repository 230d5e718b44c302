"""The ingress of a fleet: its members, its HAProxy configuration, and what differs between two configurations."""
