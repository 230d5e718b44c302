"""The use cases; the only composition root."""
