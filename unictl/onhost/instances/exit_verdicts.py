"""Classifies an exit by the exit table of the launch document. Pure; knows no guest family."""

from __future__ import annotations

import re
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CRASH_REASONS = ("internal-error", "guest-panic", "io-error", "paused", "out-of-memory")
CRASH_SIGNALS = (
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGILL,
    signal.SIGFPE,
    signal.SIGSYS,
    signal.SIGTRAP,
)
"""The hypervisor's own faults; any other signal was sent by somebody."""
_UNWISHED = ("crash", "failure", "killed", "unknown")
RESTARTS = {"on-crash": _UNWISHED, "always": (*_UNWISHED, "clean")}
"""By policy, the verdicts after which it is started again: whoever kills a hypervisor (an out-of-memory killer, say)
is no reason to stay away. Its ends by our own hand are ``stopped``."""


def judge(rules: list[dict[str, Any]], end: dict[str, Any], console: str, stopping: bool) -> tuple[str, int | None]:
    """(verdict, the guest's exit code where the table tells) of an end {status, signal, reason}."""
    if stopping:
        return "stopped", None
    if end.get("reason") == "host-signal":
        # QEMU ends with status 0 when somebody sends it SIGTERM; the table would call that clean.
        return "killed", None
    for rule in rules:
        found = _holds(rule, end, console)
        if found is not None:
            return str(rule["verdict"]), _code(rule, end, found)
    return _untold(end), None


def restarts(policy: str, verdict: str) -> bool:
    """Whether the keeper starts it again. Never after ``configuration`` and ``stopped``."""
    return verdict in RESTARTS.get(policy, ())


def _holds(rule: dict[str, Any], end: dict[str, Any], console: str) -> dict[str, Any] | None:
    """The named groups of the console's match when every given condition holds, else None."""
    if any(name in rule and rule[name] != end.get(name) for name in ("status", "signal", "reason")):
        return None
    if rule.get("odd") and not (isinstance(end.get("status"), int) and end["status"] % 2 == 1):
        return None
    if "console" not in rule:
        return {}
    try:
        found = list(re.finditer(rule["console"], console, re.MULTILINE))
    except re.error:
        return None
    return found[-1].groupdict() if found else None


def _code(rule: dict[str, Any], end: dict[str, Any], found: dict[str, Any]) -> int | None:
    if found.get("code"):
        try:
            return int(found["code"], 0)
        except ValueError:
            return None
    if rule.get("code") is not None:
        return int(rule["code"])
    return int(end["status"]) >> 1 if rule.get("odd") else None


def _untold(end: dict[str, Any]) -> str:
    """What an end means that no row of the table names."""
    if end.get("reason") in CRASH_REASONS or end.get("signal") in CRASH_SIGNALS:
        return "crash"
    if end.get("signal") is not None:
        return "killed"
    status = end.get("status")
    if status is None:
        return "unknown"
    return "clean" if status == 0 else "failure"
