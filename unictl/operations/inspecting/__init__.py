"""Read-only use cases: they change neither files nor hosts."""
