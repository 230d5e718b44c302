"""The start program of an ingress unit: it becomes the next HAProxy, which takes over from the current one.

HAProxy's own messages go to a file in the run directory, for whoever requested the start.
"""

from __future__ import annotations

import os

from ..ingress import haproxy
from ..storage import layout


def main(folder: str, owner: str) -> None:
    """Start or reload. Never returns."""
    os.umask(0o022)
    place = haproxy.Place(layout.Root(folder), owner)
    layout.folders(place.run)
    current = haproxy.running(place)
    argv = haproxy.command(place, [current[0]] if current else [], handover=current is not None)
    os.set_inheritable(haproxy.share(place.alive), True)
    said = os.open(place.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.dup2(said, 2)
    os.chdir("/")
    os.execve(argv[0], argv, haproxy.ENVIRONMENT)
