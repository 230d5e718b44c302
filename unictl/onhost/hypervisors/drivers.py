"""The table of hypervisors on the host side: what each is called -> the module that drives it.

A driver is a module with what ``Driver`` lists; it is imported when it is first needed. Which one an instance has
stands in its record, as ``run.hypervisor``.
"""

from __future__ import annotations

from .. import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import Any, Callable, Protocol

    from ..platform.event_loop import EventLoop
    from ..storage.layout import StoreLayout
    from .qemu import driver as qemu_driver

    class Monitor(Protocol):
        """A connection to a running hypervisor; ``reason`` is why its guest ended, as far as it has said so."""

        reason: str | None

        def drain(self) -> None: ...
        def close(self) -> None: ...

    class Driver(Protocol):
        """One hypervisor on the host side."""

        @property
        def TOKENS(self) -> tuple[str, ...]:  # noqa: N802 - a constant of the module
            """The tokens of its own in launch documents."""

        @property
        def RUN_FILES(self) -> tuple[str, ...]:  # noqa: N802
            """Files of an earlier run in the run folder that a start must not find."""

        @property
        def OWN_LINES(self) -> re.Pattern[str] | None:  # noqa: N802
            """What it writes itself into a guest's console and no reader is shown."""

        def find_program(self) -> str:
            """The path of its program; empty where the host has none."""

        def read_version(self, path: str) -> str:
            """The version of the program, which is started to ask; empty where it does not say."""

        def missing_reasons(self, path: str) -> list[dict[str, Any]]:
            """The rows {code, text, hint} of a survey: why guests cannot run under it here."""

        def choose_accelerator(self, root: StoreLayout, path: str) -> dict[str, Any] | None:
            """{accel, cpu, ...} for this boot; None where it has no choice or is not there."""

        def needs_accelerator(self, argv: list[str]) -> bool:
            """Whether a start with this command line, its tokens not yet replaced, asks for that choice."""

        def accelerator_of(self, argv: list[str]) -> str:
            """The accelerator in a command line; empty where it has none."""

        def uses_console_socket(self, argv: list[str]) -> bool:
            """Whether it is handed a listening socket for the guest's console."""

        def console_argument(self, descriptor: int) -> str:
            """The argument that names that socket by its descriptor."""

        def token_values(self, root: StoreLayout, names: set[str]) -> dict[str, str]:
            """The values of these of its ``TOKENS``; the console's is ``console_argument``."""

        def config_line_problem(self, key: str, line: str, max_length: int) -> str:
            """Why its boot file cannot carry a line, in one sentence; empty where it can."""

        def has_monitor(self, argv: list[str]) -> bool:
            """Whether it says why a guest ended."""

        def open_monitor(self, loop: EventLoop, run_directory: str, on_dead: Callable[[str], None]) -> Monitor:
            """Connect to a running one; ``on_dead`` is called when its guest is beyond help."""

    _QEMU: Driver = qemu_driver

_PACKAGE = __name__.rpartition(".")[0]
MODULES = {"qemu": "qemu.driver"}
"""Name -> module below this package, as text."""


def load(name: str) -> Driver:
    """The driver of a hypervisor of the table."""
    driver: Driver = __import__(f"{_PACKAGE}.{MODULES[name]}", fromlist=["TOKENS"])
    return driver


def load_all() -> dict[str, Driver]:
    """Every driver by its hypervisor's name."""
    return {name: load(name) for name in MODULES}


def driver_of(run: dict[str, Any]) -> Driver | None:
    """The driver that a record's ``run`` names; None where it names none that this code knows."""
    name = run.get("hypervisor")
    return load(name) if isinstance(name, str) and name in MODULES else None


def require_driver(run: dict[str, Any]) -> Driver:
    """The same; HostError where there is none."""
    driver = driver_of(run)
    if driver is None:
        text = f"this version of unictl has no driver for hypervisor {run.get('hypervisor')!r}"
        raise errors.HostError("unsupported", text, "use the version that planned it")
    return driver
