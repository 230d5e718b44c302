"""Whether this host ends what a user leaves running at logout: systemd's logind can be told to. Reads only."""

from __future__ import annotations

import os

from . import reading, records, wire

FOLDERS = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd")
"""Where its configuration lies, the first before the others."""
_YES = ("1", "yes", "y", "true", "t", "on")


def ends_what_is_left(group: bytes, folders: tuple[str, ...] = FOLDERS) -> bool:
    """Whether processes in this control group, as ``/proc/self/cgroup`` tells it, end with their user's session."""
    return b"/session-" in group and _setting(folders).lower() in _YES


def lacks() -> list[dict[str, str]]:
    """The sentence of a survey where a keeper of our own would not outlive the connection that started it."""
    if os.geteuid() == 0 or not ends_what_is_left(reading.read_bytes("/proc/self/cgroup") or b""):
        return []
    text = "what runs ends when its user logs out: logind is told to end what a session leaves (KillUserProcesses=yes)"
    hint = "set KillUserProcesses=no in /etc/systemd/logind.conf on the host, or `become: true` for it"
    return [{"code": "ends-at-logout", "text": text, "hint": hint}]


def _setting(folders: tuple[str, ...]) -> str:
    """The value in force: the main file's, then each drop-in's by name, of one name only the foremost folder's."""
    main = next((f"{folder}/logind.conf" for folder in folders if os.path.exists(f"{folder}/logind.conf")), "")
    found: dict[str, str] = {}
    for folder in reversed(folders):
        found.update((name, f"{folder}/logind.conf.d/{name}") for name in records.names(folder + "/logind.conf.d"))
    value = ""
    for path in [main, *(found[name] for name in sorted(found) if name.endswith(".conf"))]:
        for line in _read(path).decode("utf-8", "replace").splitlines():
            name, _, told = line.partition("=")
            value = told.strip() if name.strip() == "KillUserProcesses" else value
    return value


def _read(path: str) -> bytes:
    """All of a file; nothing where there is none to read, as in a drop-in that leads to /dev/null."""
    try:
        return reading.read_bytes(path) or b"" if path else b""
    except (OSError, wire.Problem):
        return b""
