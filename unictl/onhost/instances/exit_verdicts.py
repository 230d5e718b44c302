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
_UNWANTED = ("crash", "failure", "killed", "unknown")
RESTART_VERDICTS = {"on-crash": _UNWANTED, "always": (*_UNWANTED, "clean")}
"""By policy, the verdicts after which it is started again: whoever kills a hypervisor (an out-of-memory killer, say)
is no reason to stay away. Its ends by our own hand are ``stopped``."""


def classify_exit(
    rules: list[dict[str, Any]], end: dict[str, Any], console: str, is_stopping: bool
) -> tuple[str, int | None]:
    """(verdict, the guest's exit code where the table tells) of an end {status, signal, reason}."""
    if is_stopping:
        return "stopped", None
    if end.get("reason") == "host-signal":
        # QEMU, for one, ends with status 0 when somebody sends it SIGTERM; the table would call that clean.
        return "killed", None
    for rule in rules:
        groups = _match_rule(rule, end, console)
        if groups is not None:
            return str(rule["verdict"]), _exit_code(rule, end, groups)
    return _default_verdict(end), None


def is_restarted(policy: str, verdict: str) -> bool:
    """Whether the supervisor starts it again. Never after ``configuration`` and ``stopped``."""
    return verdict in RESTART_VERDICTS.get(policy, ())


def _match_rule(rule: dict[str, Any], end: dict[str, Any], console: str) -> dict[str, Any] | None:
    """The named groups of the console's match when every given condition holds, else None."""
    if any(condition in rule and rule[condition] != end.get(condition) for condition in ("status", "signal", "reason")):
        return None
    if rule.get("odd") and not (isinstance(end.get("status"), int) and end["status"] % 2 == 1):
        return None
    if "console" not in rule:
        return {}
    try:
        matches = list(re.finditer(rule["console"], console, re.MULTILINE))
    except re.error:
        return None
    return matches[-1].groupdict() if matches else None


def _exit_code(rule: dict[str, Any], end: dict[str, Any], groups: dict[str, Any]) -> int | None:
    if groups.get("code"):
        try:
            return int(groups["code"], 0)
        except ValueError:
            return None
    if rule.get("code") is not None:
        return int(rule["code"])
    return int(end["status"]) >> 1 if rule.get("odd") else None


def _default_verdict(end: dict[str, Any]) -> str:
    """What an end means that no row of the table names."""
    if end.get("reason") in CRASH_REASONS or end.get("signal") in CRASH_SIGNALS:
        return "crash"
    if end.get("signal") is not None:
        return "killed"
    status = end.get("status")
    if status is None:
        return "unknown"
    return "clean" if status == 0 else "failure"
