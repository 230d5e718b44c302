"""Effects per commit, blame, ledger, hooks."""
