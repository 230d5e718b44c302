"""Assigns desired instances to hosts, and explains why an instance finds no host. Pure."""
