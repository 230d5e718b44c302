"""The text of systemd units: of an instance, of a fleet's supervisor and of its ingress. Pure; each setting has its
reason here.

Every unit starts a small program of ours, which becomes the hypervisor: the capabilities it needs first (to hand
files to the instance's user and to become that user) are given up with that step.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MEMORY_MARGIN = 128 << 20
"""Bytes of memory above guest and overhead at which the kernel ends a hypervisor: what QEMU's translator and the pages
of its program may take beside what is planned with. A limit is for what runs away, not for what is counted."""
EXTRA_TASKS = 128
"""Tasks beside a guest's processors: QEMU's own disk workers are 64 at most."""
ALLOWED_SYSCALLS = "@system-service seccomp"
"""QEMU narrows it further by its own sandbox. What is not in it fails, and QEMU does without."""

_COMMON_SANDBOX = (
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
_DEVICE_SANDBOX = ("PrivateDevices=yes", "DevicePolicy=closed", "DeviceAllow=/dev/kvm rw", "BindPaths=-/dev/kvm")
_ROOT_ONLY_SETTINGS = (
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
_RECORD_EXIT = (
    'o=0; while IFS=: read -r n c p; do for f in "/sys/fs/cgroup/$c$p/memory.oom_control" '
    '"/sys/fs/cgroup$p/memory.events"; do [ -r "$f" ] && while read -r w x; do [ "$w" = oom_kill ] && o=$x; '
    'done < "$f"; done; done < /proc/self/cgroup; '
    'echo "$SERVICE_RESULT $EXIT_CODE $EXIT_STATUS $o" >> "$0/exit.$INVOCATION_ID"'
)
"""How a run ended, and how many of its processes the kernel killed for want of memory: with control groups of version 1
systemd cannot tell that from any other SIGKILL, and the count goes with the group."""
_RECORD_STOP = '[ -z "$MAINPID" ] || echo stop > "$0/exit.$INVOCATION_ID"'
"""Systemd was told to stop the unit while its process ran: who ends then was not killed."""
_START_CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]); from onhost.storage import identifiers; "
    "from onhost.supervision import {module} as module; identifiers.set_boot_id(sys.argv[2]); "
    "module.main(*sys.argv[3:])"
)


def python_command(interpreter: str, code_path: str, module_name: str, *arguments: str) -> str:
    """The command that runs ``main`` of a module of the host side, out of the zip ``code_path``.

    The boot's id comes from systemd: a container's own lies over the kernel's, and the sandbox takes it away.
    """
    argv = (interpreter, "-I", "-S", "-c", _START_CODE.format(module=module_name), code_path)
    return " ".join([*map(quote_argument, argv), "%b", *map(quote_argument, arguments)])


def quote_argument(word: str) -> str:
    """One word of a command as systemd reads it."""
    return quote_path(word).replace("$", "$$")


def quote_path(path: str) -> str:
    """A path as one word of a setting."""
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%")):
        path = path.replace(character, escaped)
    return f'"{path}"'


def instance_unit(
    *,
    root: str,
    owner: str,
    key: str,
    record: dict[str, Any],
    run_directory: str,
    supervisor: str,
    interpreter: str,
    code_path: str,
    has_own_user: bool = True,
) -> str:
    """The unit of one instance.

    ``run_directory``: its run folder; ``supervisor``: the unit of the fleet's supervisor; ``has_own_user``:
    whether its hypervisor becomes a user of its own (else it stays root).

    It is never restarted by systemd: the supervisor judges each end first, and waits longer each time. The run
    folder is there before: made with the unit, and by the supervisor, which a boot starts first.
    """
    run = record["run"]
    directory = f"{root}/fleets/{owner}/instances/{key}"
    writable_paths = [
        run_directory,
        directory,
        *(f"{root}/fleets/{owner}/volumes/{name}" for name in run.get("volumes", ())),
    ]
    service = [
        "Type=notify",
        "NotifyAccess=main",
        "ExecStart=" + python_command(interpreter, code_path, "start_instance", root, owner, key),
        # The one who knows how the hypervisor ended is systemd; where the supervisor looks for it.
        f"ExecStop=+/bin/sh -c {_script_arguments(_RECORD_STOP, run_directory)}",
        f"ExecStopPost=+/bin/sh -c {_script_arguments(_RECORD_EXIT, run_directory)}",
        "Restart=no",
        # The start program waits for what passes: a volume still held, a disk that is not there yet.
        "TimeoutStartSec=infinity",
        "TimeoutStopSec=20",
        "KillMode=mixed",
        "StandardOutput=null",
        "StandardError=journal",
        f"SyslogIdentifier=unictl-{record['name']}",
        *_resource_limits(run),
        *(line for line in _COMMON_SANDBOX if not (has_own_user and line.startswith(_ROOT_ONLY_SETTINGS))),
        *_visibility(root, interpreter),
        *_DEVICE_SANDBOX,
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        f"SystemCallFilter={ALLOWED_SYSCALLS}",
        # For the start program; it takes them off the hypervisor.
        "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SETUID CAP_SETGID CAP_SETPCAP",
        *(f"ReadWritePaths=-{quote_path(path)}" for path in writable_paths),
    ]
    unit = [
        f"Description=Instance {key} of fleet {owner}",
        f"Wants={supervisor}",
        f"After={supervisor} network.target",
        *_unit_lines(root),
    ]
    return _unit_text(unit, service, install=True)


def supervisor_unit(
    *, root: str, owner: str, unit_directory: str, ingress_name: str, interpreter: str, code_path: str
) -> str:
    """The unit of a fleet's supervisor, pulled in by what it keeps. It ends with the last of them.

    ``ingress_unit``: its unit; at boot that one comes first, so that the supervisor finds it running.
    """
    service = [
        "Type=notify",
        "NotifyAccess=main",
        "ExecStart=" + python_command(interpreter, code_path, "systemd_daemon", root, owner),
        "Restart=on-failure",
        # Told to end by hand while it has something to keep: that too.
        "RestartForceExitStatus=SIGTERM SIGINT SIGHUP",
        "RestartSec=100ms",
        # The first start of a boot finds out which accelerator works.
        "TimeoutStartSec=180",
        "KillMode=process",
        *(line for line in _COMMON_SANDBOX if not line.startswith(("ProtectProc=", "UMask="))),
        *_visibility(root, interpreter),
        # The probe for what QEMU can use here runs under it.
        *_DEVICE_SANDBOX,
        "RestrictAddressFamilies=AF_UNIX",
        f"SystemCallFilter={ALLOWED_SYSCALLS}",
        # It speaks to, looks at and ends processes of other users, hands them their folders, and runs the probe as one.
        "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL CAP_SETUID CAP_SETGID CAP_SYS_PTRACE",
        f"ReadWritePaths={quote_path(root)} {quote_path(unit_directory)}",
    ]
    unit = [f"Description=Supervisor of fleet {owner}", f"After={ingress_name}", *_unit_lines(root)]
    return _unit_text(unit, service, install=False)


def ingress_unit(
    *, root: str, owner: str, run_directory: str, supervisor: str, interpreter: str, code_path: str
) -> str:
    """The unit of a fleet's HAProxy. A reload starts the next one, which takes the listeners over."""
    command = python_command(interpreter, code_path, "start_ingress", root, owner)
    service = [
        "Type=forking",
        f"PIDFile={run_directory}/pid",
        f"ExecStartPre=+/bin/mkdir -p {quote_argument(run_directory)}",
        f"ExecStart={command}",
        f"ExecReload={command}",
        # The supervisor starts it again, ever less often, and says how often that was.
        "Restart=no",
        "TimeoutStopSec=10",
        "KillMode=mixed",
        "StandardOutput=null",
        "StandardError=journal",
        f"SyslogIdentifier=unictl-ingress-{owner}",
        *(line for line in _COMMON_SANDBOX if not line.startswith(("ProtectProc=", "UMask="))),
        *_visibility(root, interpreter),
        "PrivateDevices=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        f"SystemCallFilter={ALLOWED_SYSCALLS}",
        "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SETUID CAP_SETGID CAP_KILL "
        "CAP_NET_BIND_SERVICE CAP_SYS_RESOURCE",
        f"ReadWritePaths=-{quote_path(run_directory)}",
    ]
    unit = [f"Description=Ingress of fleet {owner}", f"Wants={supervisor}", "After=network.target", *_unit_lines(root)]
    return _unit_text(unit, service, install=True)


def runs_code(text: str, code_path: str) -> bool:
    """Whether a unit of that text runs the zip at that path."""
    return quote_argument(code_path) in text


def _script_arguments(text: str, run_directory: str) -> str:
    return f"{quote_argument(text)} {quote_argument(run_directory)}"


def _resource_limits(run: dict[str, Any]) -> list[str]:
    """Memory, processors and tasks; none of memory where the launch document tells none."""
    cpus, memory = int(run.get("cpus") or 1), int(run.get("memory") or 0)
    memory += int(run.get("overhead") or 0) if memory else 0
    limits = [f"CPUQuota={cpus * 100}%", f"TasksMax={EXTRA_TASKS + cpus}"]
    return [f"MemoryMax={memory + MEMORY_MARGIN}", *limits] if memory else limits


def _visibility(root: str, interpreter: str) -> list[str]:
    """What of the machine is hidden; never where our own things lie. Empty homes hide as much as closed ones, and cost
    half as much."""
    under_tmp = any((root + "/").startswith(prefix) for prefix in ("/tmp/", "/var/tmp/"))
    home_prefixes = ("/home/", "/root/", "/run/user/")
    under_home = any((path + "/").startswith(prefix) for path in (root, interpreter) for prefix in home_prefixes)
    return [f"PrivateTmp={'no' if under_tmp else 'yes'}", f"ProtectHome={'read-only' if under_home else 'tmpfs'}"]


def _unit_lines(root: str) -> list[str]:
    return [f"RequiresMountsFor={quote_path(root)}", "StartLimitIntervalSec=0", "CollectMode=inactive-or-failed"]


def _unit_text(unit: list[str], service: list[str], install: bool) -> str:
    lines = ["# Written by unictl, which replaces and removes it: changes here are lost.", "[Unit]", *unit]
    lines += ["", "[Service]", *service]
    lines += ["", "[Install]", "WantedBy=multi-user.target"] if install else []
    return "\n".join(lines) + "\n"
