"""What this machine cannot do: one sentence each, with a stable code and what helps. Starts and writes nothing."""

from __future__ import annotations

import os

from . import privilege, programs, selinux, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import records


def lacks(root: records.Root, qemu: bool) -> list[dict[str, Any]]:
    """The rows {code, text, hint} of a survey."""
    rows: list[dict[str, Any]] = []
    if not qemu:
        rows.append({"code": "no-qemu", "text": "there is no QEMU", "hint": "install qemu-system-x86 on the host"})
    if not programs.which("haproxy"):
        hint = "install haproxy on the host, or set `ingress: false` for it"
        rows.append({"code": "no-haproxy", "text": "there is no HAProxy, so it cannot run the ingress", "hint": hint})
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        hint = "guests run emulated; give the user access to /dev/kvm where the machine has it"
        rows.append({"code": "no-kvm", "text": "/dev/kvm cannot be used", "hint": hint})
    if os.geteuid() == 0 and privilege.why_not(root):
        text = f"hypervisors run as root: {privilege.why_not(root)}"
        rows.append({"code": "privileged-hypervisors", "text": text, "hint": "put the store elsewhere (`root:`)"})
    return [*rows, *_ports(), *selinux.lacks(), *_systemd()]


def _ports() -> list[dict[str, Any]]:
    """That the user may not listen on every port: ``below`` is the first one that it may."""
    first = privilege.lowest_port()
    if not first:
        return []
    text = f"its user may listen on ports from {first} up only"
    hint = "set `become: true` for the host where a lower one is to be published"
    return [{"code": "low-ports", "text": text, "hint": hint, "below": first}]


def _systemd() -> list[dict[str, str]]:
    """What supervision by systemd does not hold here; nothing where it does not run."""
    if why := units.why_not():
        text = f"what a reboot ends is started by the next apply only: {why}"
        from . import logind

        hint = "set `become: true` for the host, so that systemd supervises"
        return [{"code": "no-units", "text": text, "hint": hint}, *logind.lacks()]
    if not units.here():
        return []
    from . import limits

    return limits.lacks()
