"""The driver of QEMU on the host side: its program and version, its tokens, its accelerator, console and monitor."""

from __future__ import annotations

import re

from ... import errors
from ...platform import programs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ...platform.event_loop import EventLoop
    from ...storage.layout import StoreLayout
    from .qmp_monitor import QmpMonitor

PROGRAM_NAMES = ("qemu-system-x86_64", "qemu-kvm")
TOKENS = ("qemu", "accel", "cpu", "console")
MONITOR_SOCKET = "qmp"
RUN_FILES = (MONITOR_SOCKET,)
OWN_LINES: re.Pattern[str] | None = re.compile(
    r"^qemu\S*: -chardev socket,id=console,\S+ info: QEMU waiting for connection on: .*\n", re.M
)
"""What QEMU says of its console's socket, whose client is there already."""


def find_program() -> str:
    """The path of QEMU; empty where there is none."""
    return programs.find_program(*PROGRAM_NAMES)


def read_version(path: str) -> str:
    """The version that QEMU prints; this costs 30 ms."""
    import subprocess

    try:
        output = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=False).stdout.decode()
    except (OSError, subprocess.SubprocessError):
        return ""
    version_parts = output.split("version ", 1)
    return version_parts[1].split()[0].rstrip(",") if len(version_parts) == 2 else ""


def missing_reasons(path: str) -> list[dict[str, Any]]:
    """That there is no QEMU."""
    if path:
        return []
    return [{"code": "no-qemu", "text": "there is no QEMU", "hint": "install qemu-system-x86 on the host"}]


def choose_accelerator(root: StoreLayout, path: str) -> dict[str, Any] | None:
    """{accel, cpu, loops_per_second, tried} for this boot and this QEMU; None where there is no QEMU."""
    from . import accelerator

    return accelerator.choose(root, path)


def needs_accelerator(argv: list[str]) -> bool:
    """Whether a start asks for the accelerator or its CPU model."""
    return any("{accel}" in argument or "{cpu}" in argument for argument in argv)


def accelerator_of(argv: list[str]) -> str:
    """The accelerator in a command line; empty where it has none."""
    return argv[argv.index("-accel") + 1] if "-accel" in argv[:-1] else ""


def uses_console_socket(argv: list[str]) -> bool:
    """Whether its console is a socket that it is handed."""
    return "{console}" in argv


def console_argument(descriptor: int) -> str:
    """QEMU's console as a socket that its supervisor has connected to already: a guest whose supervisor is gone speaks
    to nobody, and never waits for somebody to listen, as it would once its output pipe is full."""
    return f"socket,id=console,fd={descriptor},server=on,wait=on"


def token_values(root: StoreLayout, names: set[str]) -> dict[str, str]:
    """QEMU's path, and where asked for the accelerator and CPU model chosen for this boot: one choice for both."""
    path = find_program()
    if not path:
        raise errors.HostError("unsupported", "there is no QEMU on this host", "install qemu-system-x86 there")
    values = {"qemu": path}
    if names & {"accel", "cpu"}:
        choice = choose_accelerator(root, path) or {}
        values.update(accel=str(choice["accel"]), cpu=str(choice["cpu"]))
    return values


def config_line_problem(key: str, line: str, max_length: int) -> str:
    """What QEMU's configuration language cannot carry: a line that is too long, a double quote in a value."""
    option, _, value = line.partition(" = ")
    size = len(line.encode())
    if size > max_length:
        subject = f"the command line of {key}" if option == "append" else f"a line of the boot file of {key}"
        return f"with its secrets {subject} is {size - max_length} bytes too long for QEMU to read"
    if '"' in value[1:-1]:
        return f"the line {option!r} in the boot file of {key} holds a double quote, which QEMU cannot read"
    return ""


def has_monitor(argv: list[str]) -> bool:
    """Whether its monitor has a socket in the run folder."""
    return any("{run}/" + MONITOR_SOCKET in argument for argument in argv)


def open_monitor(loop: EventLoop, run_directory: str, on_dead: Callable[[str], None]) -> QmpMonitor:
    """Connect to its monitor."""
    from .qmp_monitor import QmpMonitor

    return QmpMonitor(loop, f"{run_directory}/{MONITOR_SOCKET}", on_dead)
