"""Predictions without a plan: lost hosts, removed or scaled services, and the fleet's own tests. Pure."""
