"""The start program of an ingress's unit: it becomes the next HAProxy, which takes over from the current one.

HAProxy's own words go into a file of the run folder, for whoever asked for the start.
"""

from __future__ import annotations

import os

from . import haproxy_process, records


def main(folder: str, owner: str) -> None:
    """Start or reload. Never returns."""
    os.umask(0o022)
    place = haproxy_process.Place(records.Root(folder), owner)
    records.folders(place.run)
    current = haproxy_process.running(place)
    argv = haproxy_process.command(place, [current[0]] if current else [], handover=current is not None)
    os.set_inheritable(haproxy_process.share(place.alive), True)
    said = os.open(place.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.dup2(said, 2)
    os.chdir("/")
    os.execve(argv[0], argv, haproxy_process.ENVIRONMENT)
