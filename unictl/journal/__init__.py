"""The record of an apply: its events, its report and its ledger entry. Values only."""
