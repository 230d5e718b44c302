"""What this host cannot do: one sentence each, with a stable code and a hint. Starts and writes nothing.

Programs and KVM; low ports; which cgroup limits the kernel really enforces; whether logind ends a user's processes
at logout.
"""

from __future__ import annotations

import os

from .. import errors
from ..hypervisors import drivers
from ..platform import privileges, programs, selinux
from ..storage import guarded_read
from ..systemd import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

    from ..storage import layout


def missing_capabilities(root: layout.StoreLayout, hypervisor_paths: dict[str, str]) -> list[Mapping[str, str | int]]:
    """The rows {code, text, hint} of a survey. ``hypervisor_paths``: name -> program of each that is here."""
    missing: list[Mapping[str, str | int]] = []
    for name, driver in drivers.load_all().items():
        missing += driver.missing_reasons(hypervisor_paths.get(name, ""))
    if not programs.find_program("haproxy"):
        hint = "install haproxy on the host, or set `ingress: false` for it"
        missing.append(
            {"code": "no-haproxy", "text": "there is no HAProxy, so it cannot run the ingress", "hint": hint}
        )
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        hint = "guests run emulated; give the user access to /dev/kvm where the machine has it"
        missing.append({"code": "no-kvm", "text": "/dev/kvm cannot be used", "hint": hint})
    if os.geteuid() == 0 and privileges.unavailable_reason(root):
        text = f"hypervisors run as root: {privileges.unavailable_reason(root)}"
        missing.append({"code": "privileged-hypervisors", "text": text, "hint": "put the store elsewhere (`root:`)"})
    return [*missing, *_low_ports(), *selinux.capability_notes(), *_supervision_gaps()]


def _low_ports() -> list[Mapping[str, str | int]]:
    """That the user may not listen on every port: ``below`` is the first one that it may."""
    first_port = privileges.lowest_bindable_port()
    if not first_port:
        return []
    text = f"its user may listen on ports from {first_port} up only"
    hint = "set `become: true` for the host where a lower one is to be published"
    return [{"code": "low-ports", "text": text, "hint": hint, "below": first_port}]


def _supervision_gaps() -> list[dict[str, str]]:
    """What supervision by systemd does not hold here; nothing where it does not run."""
    if reason := units.unavailable_reason():
        text = f"what a reboot ends is started by the next apply only: {reason}"

        hint = "set `become: true` for the host, so that systemd supervises"
        return [{"code": "no-units", "text": text, "hint": hint}, *missing_linger()]
    if not units.available():
        return []

    return missing_limits()


LIMIT_CONTROLLERS = {"memory": "memory", "cpu": "processor"}


def missing_limits() -> list[dict[str, str]]:
    """The sentence of a survey where a limit is not held."""
    usable = usable_controllers(guarded_read.read_bytes("/proc/self/mountinfo") or b"")
    missing = [word for name, word in LIMIT_CONTROLLERS.items() if name not in usable]
    if not missing:
        return []
    text = f"{' and '.join(missing)} limits of instances are not enforced: systemd is not given those controllers"
    hint = "boot it with cgroup version 2 (systemd.unified_cgroup_hierarchy=1); inside a container, ask its host"
    return [{"code": "no-limits", "text": text, "hint": hint}]


def usable_controllers(mounts: bytes) -> set[str]:
    """Controllers that can be set: version 1 where mounted for writing, version 2 as its root lists them."""
    usable: set[str] = set()
    for line in mounts.decode("utf-8", "replace").splitlines():
        mount_part, _, filesystem_part = line.partition(" - ")
        fields, kind = mount_part.split(), filesystem_part.split()
        if kind[:1] == ["cgroup"] and "rw" in fields[5].split(","):
            usable.update(set(kind[2].split(",")) - {"rw", "ro"})
        elif kind[:1] == ["cgroup2"] and "rw" in fields[5].split(","):
            listed = guarded_read.read_bytes(fields[4] + "/cgroup.controllers") or b""
            usable.update(listed.decode().split())
    return usable


LOGIND_DIRECTORIES = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd")
"""Where its configuration lies, the first before the others."""
_TRUE_VALUES = ("1", "yes", "y", "true", "t", "on")


def kills_user_processes(control_group: bytes, directories: tuple[str, ...] = LOGIND_DIRECTORIES) -> bool:
    """Whether processes in this control group, as ``/proc/self/cgroup`` tells it, end with their user's session."""
    return b"/session-" in control_group and _logind_setting(directories).lower() in _TRUE_VALUES


def missing_linger() -> list[dict[str, str]]:
    """The sentence of a survey where a supervisor of our own would not outlive the connection that started it."""
    if os.geteuid() == 0 or not kills_user_processes(guarded_read.read_bytes("/proc/self/cgroup") or b""):
        return []
    text = "what runs ends when its user logs out: logind is told to end what a session leaves (KillUserProcesses=yes)"
    hint = "set KillUserProcesses=no in /etc/systemd/logind.conf on the host, or `become: true` for it"
    return [{"code": "ends-at-logout", "text": text, "hint": hint}]


def _logind_setting(directories: tuple[str, ...]) -> str:
    """The value in force: the main file's, then each drop-in's by name, of one name only the foremost folder's."""
    main = next(
        (f"{directory}/logind.conf" for directory in directories if os.path.exists(f"{directory}/logind.conf")), ""
    )
    drop_ins: dict[str, str] = {}
    for directory in reversed(directories):
        drop_ins.update(
            (name, f"{directory}/logind.conf.d/{name}")
            for name in guarded_read.list_names(directory + "/logind.conf.d")
        )
    value = ""
    for path in [main, *(drop_ins[name] for name in sorted(drop_ins) if name.endswith(".conf"))]:
        for line in _read_optional(path).decode("utf-8", "replace").splitlines():
            name, _, assigned = line.partition("=")
            value = assigned.strip() if name.strip() == "KillUserProcesses" else value
    return value


def _read_optional(path: str) -> bytes:
    """All of a file; nothing where there is none to read, as in a drop-in that leads to /dev/null."""
    try:
        return guarded_read.read_bytes(path) or b"" if path else b""
    except (OSError, errors.HostError):
        return b""
