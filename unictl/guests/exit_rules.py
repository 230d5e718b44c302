"""Exit rules: how the end of a guest's process is classified, as data and as a function. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Verdict(Enum):
    """How a guest's end is judged."""

    CLEAN = "clean"
    FAILURE = "failure"
    CRASH = "crash"
    CONFIGURATION = "configuration"
    STOPPED = "stopped"
    KILLED = "killed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRule:
    """One row of an exit table; the first row whose every given condition holds decides.

    ``status`` is the hypervisor process's exit status, ``signal`` the signal it died of, ``reason`` QMP's SHUTDOWN
    reason (``guest-reset``, ``guest-shutdown``, ``guest-panic``, ``internal-error``), ``console`` a regular
    expression searched in the console's tail (its group ``code``, where there is one, is the guest's exit code).
    ``odd`` holds for statuses made by isa-debug-exit, (code << 1) | 1; the code is then status >> 1.
    """

    verdict: Verdict
    status: int | None = None
    signal: int | None = None
    reason: str | None = None
    console: str | None = None
    odd: bool = False
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestExit:
    """A judged end: ``code`` is the guest's exit code where one is known, ``summary`` says it to people."""

    verdict: Verdict
    code: int | None = None
    summary: str = ""


_CRASH_REASONS = ("internal-error", "guest-panic", "io-error", "paused", "out-of-memory")
_CRASH_SIGNALS = (4, 5, 6, 7, 8, 11, 31)
"""ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS: the hypervisor's own faults. Any other signal was sent by somebody."""


def classify_exit(exits: Sequence[ExitRule], facts: Mapping[str, Any]) -> GuestExit:
    """How a run ended, by ``facts`` {status, signal, reason, console, stopped}, each of which may be missing.

    The host side reads the same table by the same rules, for restarts:

    1. ``stopped``: we ended it, so it is STOPPED whatever it did on its way. Reason ``host-signal``: KILLED.
    2. The first row whose every given condition holds. ``status``, ``signal`` and ``reason`` are equal, ``odd`` wants
       an odd status, ``console`` is found with ``^`` and ``$`` at line ends; its last place in the console counts.
       The code is the pattern's group ``code``, else the row's, else status >> 1 of an odd row.
    3. No row: a crash reason or a fault signal is a CRASH, another signal KILLED, status 0 CLEAN, another status
       FAILURE, and no status UNKNOWN.
    """
    verdict, code = _apply_rules(exits, facts)
    return GuestExit(verdict=verdict, code=code, summary=_describe(verdict, code, facts))


def _apply_rules(exits: Sequence[ExitRule], facts: Mapping[str, Any]) -> tuple[Verdict, int | None]:
    if facts.get("stopped"):
        return Verdict.STOPPED, None
    if facts.get("reason") == "host-signal":
        return Verdict.KILLED, None
    for rule in exits:
        groups = _match_rule(rule, facts)
        if groups is not None:
            return rule.verdict, _exit_code(rule, facts, groups)
    return _default_verdict(facts), None


def _match_rule(rule: ExitRule, facts: Mapping[str, Any]) -> Mapping[str, str | None] | None:
    """The named groups of the console's match where every given condition holds, else None."""
    conditions = (("status", rule.status), ("signal", rule.signal), ("reason", rule.reason))
    if any(value is not None and facts.get(name) != value for name, value in conditions):
        return None
    if rule.odd and (facts.get("status") or 0) % 2 == 0:
        return None
    if rule.console is None:
        return {}
    matches = list(re.finditer(rule.console, facts.get("console") or "", re.MULTILINE))
    return matches[-1].groupdict() if matches else None


def _exit_code(rule: ExitRule, facts: Mapping[str, Any], groups: Mapping[str, str | None]) -> int | None:
    if text := groups.get("code"):
        try:
            return int(text, 0)
        except ValueError:
            return None
    if rule.code is not None:
        return rule.code
    return int(facts["status"]) >> 1 if rule.odd else None


def _default_verdict(facts: Mapping[str, Any]) -> Verdict:
    if facts.get("reason") in _CRASH_REASONS or facts.get("signal") in _CRASH_SIGNALS:
        return Verdict.CRASH
    if facts.get("signal") is not None:
        return Verdict.KILLED
    status = facts.get("status")
    if status is None:
        return Verdict.UNKNOWN
    return Verdict.CLEAN if status == 0 else Verdict.FAILURE


def _describe(verdict: Verdict, code: int | None, facts: Mapping[str, Any]) -> str:
    number = "" if code is None else f" with code {code}"
    match verdict:
        case Verdict.CLEAN:
            return "ended well"
        case Verdict.FAILURE:
            return f"failed{number}" if facts.get("reason") != "not-started" else "the hypervisor did not start"
        case Verdict.CONFIGURATION:
            return f"refused its configuration{number}"
        case Verdict.CRASH:
            return f"crashed{_crash_detail(facts)}"
        case Verdict.KILLED:
            return "was killed" if facts.get("signal") is None else f"was killed by signal {facts['signal']}"
        case Verdict.STOPPED:
            return "stopped by unictl"
        case Verdict.UNKNOWN:
            return "ended, and nothing says how"


def _crash_detail(facts: Mapping[str, Any]) -> str:
    reasons = {
        "guest-reset": " (it reset the machine)",
        "guest-panic": " (it reported a panic)",
        "internal-error": " (the hypervisor could not go on with it)",
        "io-error": " (one of its disks could not be written)",
        "paused": " (its hypervisor stood still)",
        "out-of-memory": " (its hypervisor took more memory than it may, or than the host had)",
    }
    return reasons.get(facts.get("reason") or "", "")
