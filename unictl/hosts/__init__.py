"""Connections to hosts and the conversation with onhost."""
