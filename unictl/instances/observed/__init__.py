"""The live state: what hosts report of themselves and their instances. Values only."""
