"""The text of systemd units: of an instance, of a fleet's supervisor and of its ingress. Pure; each setting has
its reason here.

Every unit starts a small program of ours, which becomes the hypervisor: the capabilities it needs first (to hand
files to
the instance's user and to become that user) are given up with that step.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARGIN = 128 << 20
"""Bytes of memory above guest and overhead at which the kernel ends a hypervisor: what QEMU's translator and the pages
of its program may take beside what is planned with. A limit is for what runs away, not for what is counted."""
THREADS = 128
"""Tasks beside a guest's processors: QEMU's own disk workers are 64 at most."""
CALLS = "@system-service seccomp"
"""QEMU narrows it further by its own sandbox. What is not in it fails, and QEMU does without."""

_EVERYWHERE = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectControlGroups=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectHostname=yes",
    "ProtectClock=yes",
    "ProtectProc=invisible",
    "LockPersonality=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "UMask=0077",
)
_DEVICES = ("PrivateDevices=yes", "DevicePolicy=closed", "DeviceAllow=/dev/kvm rw", "BindPaths=-/dev/kvm")
_ROOTS_ALONE = (
    "ProtectControlGroups=",
    "ProtectKernelLogs=",
    "ProtectKernelTunables=",
    "ProtectKernelModules=",
    "ProtectHostname=",
    "ProtectClock=",
    "RestrictRealtime=",
)
"""What only root may do or write anyway, and a user of its own without capabilities never may. Hiding it from one all
the same is a third of what the start of a unit costs: it is some forty mounts, and filters of calls that the list of
those allowed lacks already."""
_TELL = (
    'o=0; while IFS=: read -r n c p; do for f in "/sys/fs/cgroup/$c$p/memory.oom_control" '
    '"/sys/fs/cgroup$p/memory.events"; do [ -r "$f" ] && while read -r w x; do [ "$w" = oom_kill ] && o=$x; '
    'done < "$f"; done; done < /proc/self/cgroup; '
    'echo "$SERVICE_RESULT $EXIT_CODE $EXIT_STATUS $o" >> "$0/exit.$INVOCATION_ID"'
)
"""How a run ended, and how many of its processes the kernel killed for want of memory: with control groups of version 1
systemd cannot tell that from any other SIGKILL, and the count goes with the group."""
_TOLD_TO_STOP = '[ -z "$MAINPID" ] || echo stop > "$0/exit.$INVOCATION_ID"'
"""Systemd was told to stop the unit while its process ran: who ends then was not killed."""
_BEGIN = (
    "import sys; sys.path.insert(0, sys.argv[1]); from onhost.storage import layout; "
    "from onhost.supervision import {module} as module; layout.know_boot(sys.argv[2]); module.main(*sys.argv[3:])"
)


def program(python: str, code: str, module: str, *arguments: str) -> str:
    """The command that runs ``main`` of a module of the host side, out of the zip ``code``.

    The boot's id comes from systemd: a container's own lies over the kernel's, and the sandbox takes it away.
    """
    words = (python, "-I", "-S", "-c", _BEGIN.format(module=module), code)
    return " ".join([*map(quoted, words), "%b", *map(quoted, arguments)])


def quoted(word: str) -> str:
    """One word of a command as systemd reads it."""
    return whole(word).replace("$", "$$")


def whole(path: str) -> str:
    """A path as one word of a setting."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%")):
        path = path.replace(plain, escaped)
    return f'"{path}"'


def instance(
    *,
    root: str,
    owner: str,
    key: str,
    record: dict[str, Any],
    run: str,
    keeper: str,
    python: str,
    code: str,
    own_user: bool = True,
) -> str:
    """The unit of one instance. ``run``: its run folder; ``keeper``: the unit of the fleet's keeper; ``own_user``:
    whether its hypervisor becomes a user of its own (else it stays root).

    It is never restarted by systemd: the keeper judges each end first, and waits longer each time. The run folder is
    there before: made with the unit, and by the keeper, which a boot starts first.
    """
    launch = record["run"]
    folder = f"{root}/fleets/{owner}/instances/{key}"
    writes = [run, folder, *(f"{root}/fleets/{owner}/volumes/{name}" for name in launch.get("volumes", ()))]
    service = [
        "Type=notify",
        "NotifyAccess=main",
        "ExecStart=" + program(python, code, "start_instance", root, owner, key),
        # The one who knows how the hypervisor ended is systemd; where the keeper looks for it.
        f"ExecStop=+/bin/sh -c {_script(_TOLD_TO_STOP, run)}",
        f"ExecStopPost=+/bin/sh -c {_script(_TELL, run)}",
        "Restart=no",
        # The start program waits for what passes: a volume still held, a disk that is not there yet.
        "TimeoutStartSec=infinity",
        "TimeoutStopSec=20",
        "KillMode=mixed",
        "StandardOutput=null",
        "StandardError=journal",
        f"SyslogIdentifier=unictl-{record['name']}",
        *_limits(launch),
        *(line for line in _EVERYWHERE if not (own_user and line.startswith(_ROOTS_ALONE))),
        *_sight(root, python),
        *_DEVICES,
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        f"SystemCallFilter={CALLS}",
        # For the start program; it takes them off the hypervisor.
        "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SETUID CAP_SETGID CAP_SETPCAP",
        *(f"ReadWritePaths=-{whole(path)}" for path in writes),
    ]
    unit = [
        f"Description=Instance {key} of fleet {owner}",
        f"Wants={keeper}",
        f"After={keeper} network.target",
        *_unit(root),
    ]
    return _text(unit, service, install=True)


def keeper(*, root: str, owner: str, units: str, ingress: str, python: str, code: str) -> str:
    """The unit of a fleet's keeper, pulled in by what it keeps. It ends with the last of them.

    ``ingress``: its unit; at boot that one comes first, so that the keeper finds it running.
    """
    service = [
        "Type=notify",
        "NotifyAccess=main",
        "ExecStart=" + program(python, code, "systemd_daemon", root, owner),
        "Restart=on-failure",
        # Told to end by hand while it has something to keep: that too.
        "RestartForceExitStatus=SIGTERM SIGINT SIGHUP",
        "RestartSec=100ms",
        # The first start of a boot finds out which accelerator works.
        "TimeoutStartSec=180",
        "KillMode=process",
        *(line for line in _EVERYWHERE if not line.startswith(("ProtectProc=", "UMask="))),
        *_sight(root, python),
        # The probe for what QEMU can use here runs under it.
        *_DEVICES,
        "RestrictAddressFamilies=AF_UNIX",
        f"SystemCallFilter={CALLS}",
        # It speaks to, looks at and ends processes of other users, hands them their folders, and runs the probe as one.
        "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL CAP_SETUID CAP_SETGID CAP_SYS_PTRACE",
        f"ReadWritePaths={whole(root)} {whole(units)}",
    ]
    unit = [f"Description=Keeper of fleet {owner}", f"After={ingress}", *_unit(root)]
    return _text(unit, service, install=False)


def ingress(*, root: str, owner: str, run: str, keeper: str, python: str, code: str) -> str:
    """The unit of a fleet's HAProxy. A reload starts the next one, which takes the listeners over."""
    command = program(python, code, "start_ingress", root, owner)
    service = [
        "Type=forking",
        f"PIDFile={run}/pid",
        f"ExecStartPre=+/bin/mkdir -p {quoted(run)}",
        f"ExecStart={command}",
        f"ExecReload={command}",
        # The keeper starts it again, ever less often, and says how often that was.
        "Restart=no",
        "TimeoutStopSec=10",
        "KillMode=mixed",
        "StandardOutput=null",
        "StandardError=journal",
        f"SyslogIdentifier=unictl-ingress-{owner}",
        *(line for line in _EVERYWHERE if not line.startswith(("ProtectProc=", "UMask="))),
        *_sight(root, python),
        "PrivateDevices=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        f"SystemCallFilter={CALLS}",
        "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SETUID CAP_SETGID CAP_KILL "
        "CAP_NET_BIND_SERVICE CAP_SYS_RESOURCE",
        f"ReadWritePaths=-{whole(run)}",
    ]
    unit = [f"Description=Ingress of fleet {owner}", f"Wants={keeper}", "After=network.target", *_unit(root)]
    return _text(unit, service, install=True)


def runs(text: str, code: str) -> bool:
    """Whether a unit of that text runs the zip at that path."""
    return quoted(code) in text


def _script(text: str, run: str) -> str:
    return f"{quoted(text)} {quoted(run)}"


def _limits(launch: dict[str, Any]) -> list[str]:
    """Memory, processors and tasks; none of memory where the launch document tells none."""
    cpus, need = int(launch.get("cpus") or 1), int(launch.get("memory") or 0)
    need += int(launch.get("overhead") or 0) if need else 0
    rows = [f"CPUQuota={cpus * 100}%", f"TasksMax={THREADS + cpus}"]
    return [f"MemoryMax={need + MARGIN}", *rows] if need else rows


def _sight(root: str, python: str) -> list[str]:
    """What of the machine is hidden; never where our own things lie. Empty homes hide as much as closed ones, and cost
    half as much."""
    temporary = any((root + "/").startswith(place) for place in ("/tmp/", "/var/tmp/"))
    homes = ("/home/", "/root/", "/run/user/")
    home = any((path + "/").startswith(place) for path in (root, python) for place in homes)
    return [f"PrivateTmp={'no' if temporary else 'yes'}", f"ProtectHome={'read-only' if home else 'tmpfs'}"]


def _unit(root: str) -> list[str]:
    return [f"RequiresMountsFor={whole(root)}", "StartLimitIntervalSec=0", "CollectMode=inactive-or-failed"]


def _text(unit: list[str], service: list[str], install: bool) -> str:
    lines = ["# Written by unictl, which replaces and removes it: changes here are lost.", "[Unit]", *unit]
    lines += ["", "[Service]", *service]
    lines += ["", "[Install]", "WantedBy=multi-user.target"] if install else []
    return "\n".join(lines) + "\n"
