"""A Launch: everything a host needs to start one guest, as a value with path tokens. Pure.

The control side decides, the host only substitutes. Tokens in ``argv`` and ``config``:

    {run}             the instance's run folder (sockets)
    {config}          the 0600 file that holds ``config`` (guest command line: never in argv)
    {image:SHA256}    a file of the content store
    {volume:NAME}     the data file of a volume
    {secret:NAME}     only in ``config``: the value, substituted on the host

A hypervisor has further ones, which its driver names on both sides. QEMU's:

    {qemu}            its binary on that host
    {accel} {cpu}     chosen at each start from the boot's probe
    {console}         its character device ``console``: its own output, or a socket where a supervisor listens
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NotRequired, TypedDict

from unictl.guests.exit_rules import ExitRule

SHARED_TOKENS = ("run", "config", "image:[^}]*", "volume:[^}]*", "secret:[^}]*")
"""The tokens that every hypervisor's launch documents may hold, as regular expressions."""


class ForwardRow(TypedDict):
    """A Forward as it is written in launch documents, records and surveys."""

    name: str
    guest: int
    host: int
    bind: str
    udp: bool


class ExitRuleRow(TypedDict):
    """An ExitRule as it is written in launch documents: only the conditions it has."""

    verdict: str
    status: NotRequired[int]
    signal: NotRequired[int]
    reason: NotRequired[str]
    console: NotRequired[str]
    code: NotRequired[int]
    odd: NotRequired[bool]


class RunSection(TypedDict):
    """A Launch as it is written in a launch document, under ``run``."""

    hypervisor: str
    argv: list[str]
    config: str
    exits: list[ExitRuleRow]
    images: list[str]
    volumes: list[str]
    forwards: list[ForwardRow]
    secrets: list[str]
    # Characters that no secret may hold, and the longest line of ``config`` in bytes.
    refused: str
    longest: int
    memory: int
    overhead: int
    cpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """A port of a guest on a user network, reached at ``bind``:``host`` on its host."""

    name: str
    guest: int
    host: int
    bind: str = "127.0.0.1"
    udp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What is run: argv and boot file with tokens, the exit table, and what it takes of the host (bytes, cores).

    ``forbidden_characters`` are characters that no secret's value may hold where it is put into ``config``, beside
    control characters; ``max_line_bytes`` is how many bytes a line of ``config`` may have once they stand in it, 0 for
    any number.
    """

    hypervisor: str
    argv: tuple[str, ...]
    config: str
    exits: tuple[ExitRule, ...]
    images: tuple[str, ...]
    volumes: tuple[str, ...] = ()
    forwards: tuple[Forward, ...] = ()
    secrets: tuple[str, ...] = ()
    forbidden_characters: str = '"'
    max_line_bytes: int = 0
    memory: int = 0
    overhead: int = 0
    cpus: int = 1

    def document(self) -> RunSection:
        """The JSON form that travels to the host and stands in its record."""
        return {
            "hypervisor": self.hypervisor,
            "argv": list(self.argv),
            "config": self.config,
            "exits": list(_exit_rules_json(self.exits)),
            "images": list(self.images),
            "volumes": list(self.volumes),
            "forwards": [
                {
                    "name": forward.name,
                    "guest": forward.guest,
                    "host": forward.host,
                    "bind": forward.bind,
                    "udp": forward.udp,
                }
                for forward in self.forwards
            ],
            "secrets": list(self.secrets),
            "refused": self.forbidden_characters,
            "longest": self.max_line_bytes,
            "memory": self.memory,
            "overhead": self.overhead,
            "cpus": self.cpus,
        }


@lru_cache(maxsize=64)
def _exit_rules_json(exits: tuple[ExitRule, ...]) -> tuple[ExitRuleRow, ...]:
    """A family has one table for all its guests: it is written once."""
    return tuple(map(_exit_rule_json, exits))


def _exit_rule_json(rule: ExitRule) -> ExitRuleRow:
    plain: ExitRuleRow = {"verdict": rule.verdict.value}
    for key in ("status", "signal", "reason", "console", "code"):
        value = getattr(rule, key)
        if value is not None:
            plain[key] = value
    if rule.odd:
        plain["odd"] = True
    return plain
