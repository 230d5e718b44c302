"""The screen. Door to rich."""
