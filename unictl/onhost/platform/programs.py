"""Finds programs on this host. PATH is not enough: ``sudo`` and ``ssh`` set a short one."""

from __future__ import annotations

import os

FOLDERS = ("/usr/bin", "/usr/local/bin", "/usr/libexec", "/bin", "/usr/sbin", "/sbin", "/usr/local/sbin")
QEMU = ("qemu-system-x86_64", "qemu-kvm")


def which(*wanted: str) -> str:
    """The path of the first of these programs; empty where there is none."""
    places = os.environ.get("PATH", "").split(":") + list(FOLDERS)
    for name in wanted:
        for place in places:
            path = f"{place}/{name}"
            if place.startswith("/") and os.access(path, os.X_OK) and os.path.isfile(path):
                return path
    return ""
