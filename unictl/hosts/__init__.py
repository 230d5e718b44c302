"""Connections to hosts, local or by ssh: start of the host side, conversation, reconnecting, uploads."""
