"""The plan on disk: its JSON, the hash that reviews approve, and the preconditions that make it stale. Pure."""
