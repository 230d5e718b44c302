"""Values in, text out. Pure; no screen, no clock."""
