"""The start program of an ingress unit: it becomes the next HAProxy, which takes over from the current one.

HAProxy's own messages go to a file in the run directory, for whoever requested the start.
"""

from __future__ import annotations

import os

from ..ingress import haproxy
from ..storage import atomic, layout


def main(store_path: str, owner: str) -> None:
    """Start or reload. Never returns."""
    os.umask(0o022)
    paths = haproxy.IngressPaths(layout.StoreLayout(store_path), owner)
    atomic.make_dirs(paths.run_directory)
    current = haproxy.current_process(paths)
    argv = haproxy.command_line(paths, [current[0]] if current else [], handover=current is not None)
    os.set_inheritable(haproxy.share_lock(paths.alive), True)
    stderr_fd = os.open(paths.stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.dup2(stderr_fd, 2)
    os.chdir("/")
    os.execve(argv[0], argv, haproxy.ENVIRONMENT)
