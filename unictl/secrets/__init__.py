"""Env, file and command -> values that redact themselves."""
