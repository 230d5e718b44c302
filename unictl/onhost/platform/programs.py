"""Finds programs on this host. PATH is not enough: ``sudo`` and ``ssh`` set a short one."""

from __future__ import annotations

import os

DEFAULT_DIRS = ("/usr/bin", "/usr/local/bin", "/usr/libexec", "/bin", "/usr/sbin", "/sbin", "/usr/local/sbin")


def find_program(*program_names: str) -> str:
    """The path of the first of these programs; empty where there is none."""
    directories = os.environ.get("PATH", "").split(":") + list(DEFAULT_DIRS)
    for name in program_names:
        for directory in directories:
            path = f"{directory}/{name}"
            if directory.startswith("/") and os.access(path, os.X_OK) and os.path.isfile(path):
                return path
    return ""
