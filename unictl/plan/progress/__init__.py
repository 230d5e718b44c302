"""A plan while it is applied: what may start, what is skipped, and how failed services are rolled back. Pure."""
