"""systemd on this host: whether it can supervise here, the names of our units, and their state.

Only reads and asks; ``unit_files`` writes. Imports little, because every survey loads it.
"""

from __future__ import annotations

import os
import time

from ..platform.programs import which
from ..protocol import frames
from ..storage import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Any

FOLDER = "/etc/systemd/system"
WANTS = FOLDER + "/multi-user.target.wants"
BOOTED = "/run/systemd/system"
"""There where systemd is PID 1, and nowhere else."""
PATIENCE = 30.0
"""Seconds systemd may take to answer."""
FRESH = 0.5
"""Seconds that what systemd said of our units is believed."""


def here() -> bool:
    """Whether units supervise on this host, for this user."""
    return os.path.isdir(BOOTED) and not why_not()


def why_not() -> str:
    """Why units cannot supervise here although systemd runs; empty where they can, or where it does not run."""
    if not os.path.isdir(BOOTED):
        return ""
    if os.geteuid() != 0:
        return "only root may write units, and the host side is not root"
    if not os.access(FOLDER, os.W_OK):
        return f"{FOLDER} cannot be written"
    # Code that was not shipped as a zip has no bytes to leave behind for the next boot.
    return "" if __name__.partition(".")[0] == "onhost" else "the host side does not run from its zip"


def name(root: layout.Root, owner: str, key: str = "") -> str:
    """The unit of an instance, or (no key) of the fleet's keeper. Two stores of one host share none."""
    return f"unictl-{layout.token(root.path + ':' + owner, key)}.service"


def path(unit: str) -> str:
    """Where a unit's file lies."""
    return f"{FOLDER}/{unit}"


def written(unit: str) -> bool:
    """Whether there is such a unit of ours."""
    return os.path.exists(path(unit))


def enabled(unit: str) -> bool:
    """Whether it starts at boot."""
    return os.path.lexists(f"{WANTS}/{unit}")


def at_boot(root: layout.Root, owner: str, key: str) -> bool:
    """Whether an instance starts with its host, and its keeper with it; where units do not supervise, as good as it
    gets."""
    unit = name(root, owner, key)
    return not here() or (written(unit) and enabled(unit) and written(name(root, owner)))


def supervision(root: layout.Root, owner: str, key: str) -> str:
    """``systemd`` or ``detached``: who would start this instance again."""
    return "systemd" if written(name(root, owner, key)) else "detached"


def owns(unit: str, pid: int) -> bool:
    """Whether a process was started by that unit: its control group says so."""
    return f"/{unit}".encode() in (_read(f"/proc/{pid}/cgroup") or b"")


def _read(path: str) -> bytes | None:
    try:
        return guarded_read.read_bytes(path)
    except OSError:
        return None


def coming(unit: str) -> bool:
    """Whether systemd has it started, or is about to."""
    told = _told().get(unit, {})
    return told.get("ActiveState") in ("active", "activating", "reloading") or told.get("Job", "") not in ("", "0")


_TOLD: list[Any] = []


def _told() -> dict[str, dict[str, str]]:
    """What systemd says of all our units that it has in mind; asked once for the many rows of a survey."""
    if not _TOLD or time.monotonic() - _TOLD[0] > FRESH:
        said = systemctl("show", "--property=Id,ActiveState,Job", "unictl-*.service").stdout.decode()
        rows = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in said.split("\n\n")]
        _TOLD[:] = [time.monotonic(), {row["Id"]: row for row in rows if "Id" in row}]
    found: dict[str, dict[str, str]] = _TOLD[1]
    return found


def shutting_down() -> bool:
    """Whether the host is on its way down."""
    return systemctl("is-system-running").stdout.strip() == b"stopping"


def program() -> str:
    """The path of systemctl."""
    return which("systemctl") or "/usr/bin/systemctl"


def systemctl(*words: str) -> subprocess.CompletedProcess[bytes]:
    """Ask systemd; a Problem where it does not answer."""
    import subprocess

    argv = [program(), "--no-pager", "--no-ask-password", *words]
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise frames.Problem(
            "failed", f"systemd does not answer: {error}", "look at `systemctl status` on the host"
        ) from error


def told_to(*words: str) -> None:
    """Have systemd do something; a Problem in its own words where it does not."""
    done = systemctl(*words)
    if done.returncode:
        said = "; ".join(done.stderr.decode("utf-8", "replace").split("\n")).strip("; ")[:1000]
        raise frames.Problem("failed", f"systemctl {words[0]} failed: {said}", "look at `systemctl status` on the host")
