"""Tells systemd that a service is ready (sd_notify)."""

from __future__ import annotations

import os
import socket


def send_ready() -> None:
    """READY=1, where somebody waits for it."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.sendto(b"READY=1", "\0" + path[1:] if path[0] == "@" else path)
