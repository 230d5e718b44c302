"""What an apply tells and what it amounts to: events, report, ledger entry. Values only."""
