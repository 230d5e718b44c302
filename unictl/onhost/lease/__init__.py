"""Leases: at most one writer per fleet and host."""
