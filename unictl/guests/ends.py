"""How a guest's end is judged: exit tables as data, and their reading. Pure."""

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
class Ended:
    """A judged end: ``code`` is the guest's exit code where one is known, ``sentence`` says it to people."""

    verdict: Verdict
    code: int | None = None
    sentence: str = ""


def judge(exits: Sequence[ExitRule], facts: Mapping[str, Any]) -> Ended:
    """How a run ended, by ``facts`` {status, signal, reason, console, stopped}, each of which may be missing.

    1. ``stopped``: we ended it, so it is STOPPED whatever it did on its way.
    2. The first row whose every given condition holds. ``status`` and ``signal`` are equal numbers, ``reason`` an equal
       word, ``console`` is found by ``re.search`` (rows carry their flags in the pattern), ``odd`` wants an odd status.
    3. No row: KILLED where it died of a signal, else UNKNOWN.

    The code is the row's, else the console pattern's group ``code``, else status >> 1 of an odd row.
    """
    if facts.get("stopped"):
        return Ended(verdict=Verdict.STOPPED, sentence="stopped by unictl")
    for rule in exits:
        held, code = _holds(rule, facts)
        if held:
            return Ended(verdict=rule.verdict, code=code, sentence=_sentence(rule.verdict, code, facts))
    verdict = Verdict.KILLED if facts.get("signal") is not None else Verdict.UNKNOWN
    return Ended(verdict=verdict, sentence=_sentence(verdict, None, facts))


def _holds(rule: ExitRule, facts: Mapping[str, Any]) -> tuple[bool, int | None]:
    """Whether ``rule`` decides, and the guest's code by it."""
    status, code = facts.get("status"), rule.code
    if rule.status is not None and status != rule.status:
        return False, None
    if rule.signal is not None and facts.get("signal") != rule.signal:
        return False, None
    if rule.reason is not None and facts.get("reason") != rule.reason:
        return False, None
    if rule.odd and (status is None or status % 2 == 0):
        return False, None
    if rule.console is not None:
        match = re.search(rule.console, facts.get("console") or "")
        if not match:
            return False, None
        if code is None and (text := match.groupdict().get("code")):
            code = int(text)
    if code is None and rule.odd and status is not None:
        code = status >> 1
    return True, code


def _sentence(verdict: Verdict, code: int | None, facts: Mapping[str, Any]) -> str:
    number = "" if code is None else f" with code {code}"
    match verdict:
        case Verdict.CLEAN:
            return "ended well"
        case Verdict.FAILURE:
            return f"failed{number}" if facts.get("reason") != "not-started" else "the hypervisor did not start"
        case Verdict.CONFIGURATION:
            return f"refused its configuration{number}"
        case Verdict.CRASH:
            return f"crashed{_because(facts)}"
        case Verdict.KILLED:
            return "was killed" if facts.get("signal") is None else f"was killed by signal {facts['signal']}"
        case Verdict.STOPPED:
            return "stopped by unictl"
        case Verdict.UNKNOWN:
            return "ended, and nothing says how"


def _because(facts: Mapping[str, Any]) -> str:
    reasons = {
        "guest-reset": " (it reset the machine)",
        "guest-panic": " (it reported a panic)",
        "internal-error": " (the hypervisor could not go on with it)",
    }
    return reasons.get(facts.get("reason") or "", "")
