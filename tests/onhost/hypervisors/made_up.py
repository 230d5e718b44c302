"""A made-up hypervisor whose program is /bin/sleep: what a new one brings on the host side, beside its table row."""

# ruff: noqa: ARG001 - a driver answers every question, whatever it needs of it

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

TOKENS = ("sleeper", "seconds")
RUN_FILES = ("ticket",)
OWN_LINES = None


def find_program() -> str:
    return "/bin/sleep"


def read_version(path: str) -> str:
    return f"1.0 of {path}"


def missing_reasons(path: str) -> list[dict[str, Any]]:
    return [] if path else [{"code": "no-sleeper", "text": "there is no sleep", "hint": "install coreutils"}]


def choose_accelerator(root: Any, path: str) -> dict[str, Any] | None:
    return None


def needs_accelerator(argv: list[str]) -> bool:
    return False


def accelerator_of(argv: list[str]) -> str:
    return ""


def uses_console_socket(argv: list[str]) -> bool:
    return False


def console_argument(descriptor: int) -> str:
    return ""


def token_values(root: Any, names: set[str]) -> dict[str, str]:
    return {"sleeper": find_program(), "seconds": "1000"}


def config_line_problem(key: str, line: str, max_length: int) -> str:
    return ""


def has_monitor(argv: list[str]) -> bool:
    return False


def open_monitor(loop: Any, run_directory: str, on_dead: Callable[[str], None]) -> Any:
    raise AssertionError("it has no monitor")
