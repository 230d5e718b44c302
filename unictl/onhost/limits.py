"""Which limits of a unit the kernel really holds here: what systemd writes into a unit may mean nothing."""

from __future__ import annotations

from . import reading

WANTED = {"memory": "memory", "cpu": "processor"}


def lacks() -> list[dict[str, str]]:
    """The sentence of a survey where a limit is not held."""
    given = controllers(reading.read_bytes("/proc/self/mountinfo") or b"")
    missing = [word for name, word in WANTED.items() if name not in given]
    if not missing:
        return []
    text = f"{' and '.join(missing)} limits of instances are not enforced: systemd is not given those controllers"
    hint = "boot it with cgroup version 2 (systemd.unified_cgroup_hierarchy=1); inside a container, ask its host"
    return [{"code": "no-limits", "text": text, "hint": hint}]


def controllers(mounts: bytes) -> set[str]:
    """Controllers that can be set: version 1 where mounted for writing, version 2 as its root lists them."""
    found: set[str] = set()
    for line in mounts.decode("utf-8", "replace").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if kind[:1] == ["cgroup"] and "rw" in fields[5].split(","):
            found.update(set(kind[2].split(",")) - {"rw", "ro"})
        elif kind[:1] == ["cgroup2"] and "rw" in fields[5].split(","):
            told = reading.read_bytes(fields[4] + "/cgroup.controllers") or b""
            found.update(told.decode().split())
    return found
