"""Prepare a fleet, make a plan, apply it."""
