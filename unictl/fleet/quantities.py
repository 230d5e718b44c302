"""Quantities with units, parsed and formatted: memory, duration, share. Pure.

Values are plain integers in one unit each, so that arithmetic stays simple: memory and sizes in bytes, durations in
milliseconds.
"""

import re
from dataclasses import dataclass

_MEMORY_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_DURATION_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# Digits are ASCII and bounded: "\d" takes digits of every script, and int() refuses 4,300 of them with other words.
_MEMORY = re.compile(r"([0-9]{1,15}) ?([KMGT]iB|B)")
_DECIMAL = re.compile(r"([0-9]{1,15}) ?([kmgt]?)i?b?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(ms|s|m|h|d)")
_SHARE = re.compile(r"([0-9]{1,9})(%?)")


def parse_memory(text: str) -> int:
    """Bytes of ``64MiB``; ValueError with a sentence otherwise. Decimal units are refused: they hide a bug."""
    match = _MEMORY.fullmatch(text)
    if not match:
        decimal_match = _DECIMAL.fullmatch(text)
        example = (
            f"such as {decimal_match[1]}{(decimal_match[2] or 'M').upper()}iB"
            if decimal_match
            else "such as 64MiB or 2GiB"
        )
        raise ValueError(f"{text!r} is no amount of memory: write a whole number and a unit, {example}")
    return int(match[1]) * _MEMORY_UNITS[match[2]]


def parse_duration(text: str) -> int:
    """Milliseconds of ``500ms``, ``2s``, ``5m``, ``1h``, ``7d``; ValueError with a sentence otherwise."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no duration: write a number and a unit, such as 500ms, 2s or 5m")
    return round(float(match[1]) * _DURATION_UNITS[match[2]])


def format_memory(size: int) -> str:
    """The shortest exact way to write ``size`` bytes: 67108864 -> ``64MiB``."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _MEMORY_UNITS[unit] == 0:
            return f"{size // _MEMORY_UNITS[unit]}{unit}"
    return f"{size}B"


def format_duration(milliseconds: int) -> str:
    """The shortest exact way to write a duration: 300000 -> ``5m``."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _DURATION_UNITS[unit] == 0:
            return f"{milliseconds // _DURATION_UNITS[unit]}{unit}"
    return f"{milliseconds}ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A whole number, or a percentage of something counted."""

    number: int
    percent: bool = False

    def of(self, total: int, *, round_up: bool) -> int:
        """How many of ``total``: Kubernetes rounds surge up and unavailability down."""
        if not self.percent:
            return self.number
        return -(-total * self.number // 100) if round_up else total * self.number // 100

    def __str__(self) -> str:
        return f"{self.number}%" if self.percent else str(self.number)


def parse_share(text: str | int) -> Share:
    """``2`` or ``20%``; ValueError with a sentence otherwise."""
    match = _SHARE.fullmatch(str(text))
    if not match or (match[2] and int(match[1]) > 100):
        raise ValueError(f"{str(text)!r} is neither a whole number nor a percentage such as 20%")
    return Share(number=int(match[1]), percent=bool(match[2]))
