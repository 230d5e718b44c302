"""systemd on this host: whether it can supervise here, the names of our units, and their state.

Only reads and asks; ``unit_files`` writes. Imports little, because every survey loads it.
"""

from __future__ import annotations

import os
import time

from .. import errors
from ..platform.programs import find_program
from ..storage import guarded_read, identifiers, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess

UNIT_DIR = "/etc/systemd/system"
WANTS_DIR = UNIT_DIR + "/multi-user.target.wants"
BOOTED_DIR = "/run/systemd/system"
"""There where systemd is PID 1, and nowhere else."""
ANSWER_TIMEOUT = 30.0
"""Seconds systemd may take to answer."""
CACHE_SECONDS = 0.5
"""Seconds that what systemd said of our units is believed."""


def available() -> bool:
    """Whether units supervise on this host, for this user."""
    return os.path.isdir(BOOTED_DIR) and not unavailable_reason()


def unavailable_reason() -> str:
    """Why units cannot supervise here although systemd runs; empty where they can, or where it does not run."""
    if not os.path.isdir(BOOTED_DIR):
        return ""
    if os.geteuid() != 0:
        return "only root may write units, and the host side is not root"
    if not os.access(UNIT_DIR, os.W_OK):
        return f"{UNIT_DIR} cannot be written"
    # Code that was not shipped as a zip has no bytes to leave behind for the next boot.
    return "" if __name__.partition(".")[0] == "onhost" else "the host side does not run from its zip"


def unit_name(root: layout.StoreLayout, owner: str, key: str = "") -> str:
    """The unit of an instance, or (no key) of the fleet's supervisor. Two stores of one host share none."""
    return f"unictl-{identifiers.run_dir_name(root.path + ':' + owner, key)}.service"


def unit_path(unit: str) -> str:
    """Where a unit's file lies."""
    return f"{UNIT_DIR}/{unit}"


def is_written(unit: str) -> bool:
    """Whether there is such a unit of ours."""
    return os.path.exists(unit_path(unit))


def is_enabled(unit: str) -> bool:
    """Whether it starts at boot."""
    return os.path.lexists(f"{WANTS_DIR}/{unit}")


def starts_at_boot(root: layout.StoreLayout, owner: str, key: str) -> bool:
    """Whether an instance starts with its host, and its supervisor with it; where units do not supervise, as good as it
    gets."""
    unit = unit_name(root, owner, key)
    return not available() or (is_written(unit) and is_enabled(unit) and is_written(unit_name(root, owner)))


def supervision_mode(root: layout.StoreLayout, owner: str, key: str) -> str:
    """``systemd`` or ``detached``: who would start this instance again."""
    return "systemd" if is_written(unit_name(root, owner, key)) else "detached"


def owns_process(unit: str, pid: int) -> bool:
    """Whether a process was started by that unit: its control group says so."""
    return f"/{unit}".encode() in (_read_or_none(f"/proc/{pid}/cgroup") or b"")


def _read_or_none(path: str) -> bytes | None:
    try:
        return guarded_read.read_bytes(path)
    except OSError:
        return None


def is_activating(unit: str) -> bool:
    """Whether systemd has it started, or is about to."""
    state = _unit_states().get(unit, {})
    return state.get("ActiveState") in ("active", "activating", "reloading") or state.get("Job", "") not in ("", "0")


_STATES_CACHE: list[tuple[float, dict[str, dict[str, str]]]] = []
"""When it was asked, and unit -> its properties; one entry or none."""


def _unit_states() -> dict[str, dict[str, str]]:
    """What systemd says of all our units that it has in mind; asked once for the many rows of a survey."""
    if not _STATES_CACHE or time.monotonic() - _STATES_CACHE[0][0] > CACHE_SECONDS:
        output = systemctl("show", "--property=Id,ActiveState,Job", "unictl-*.service").stdout.decode()
        properties = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in output.split("\n\n")]
        states = {unit_properties["Id"]: unit_properties for unit_properties in properties if "Id" in unit_properties}
        _STATES_CACHE[:] = [(time.monotonic(), states)]
    return _STATES_CACHE[0][1]


def is_shutting_down() -> bool:
    """Whether the host is on its way down."""
    return systemctl("is-system-running").stdout.strip() == b"stopping"


def systemctl_path() -> str:
    """The path of systemctl."""
    return find_program("systemctl") or "/usr/bin/systemctl"


def systemctl(*words: str) -> subprocess.CompletedProcess[bytes]:
    """Ask systemd; a Problem where it does not answer."""
    import subprocess

    argv = [systemctl_path(), "--no-pager", "--no-ask-password", *words]
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_TIMEOUT,
            check=False,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise errors.HostError(
            "failed", f"systemd does not answer: {error}", "look at `systemctl status` on the host"
        ) from error


def systemctl_checked(*words: str) -> None:
    """Have systemd do something; a Problem in its own words where it does not."""
    result = systemctl(*words)
    if result.returncode:
        message = "; ".join(result.stderr.decode("utf-8", "replace").split("\n")).strip("; ")[:1000]
        raise errors.HostError(
            "failed", f"systemctl {words[0]} failed: {message}", "look at `systemctl status` on the host"
        )
