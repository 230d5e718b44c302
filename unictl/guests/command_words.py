"""Words on a guest's command line: quoting, and the texts that no quoting can express. Pure.

Two parsers stand between the fleet file and the guest: QEMU's configuration file (no double quote, no control
character, one line of at most 1023 bytes) and the guest's own splitting into words.
"""

import re
from collections.abc import Iterator

from unictl.diagnostics.place import Path
from unictl.fleet.model import Service
from unictl.fleet.references import Text, canonical
from unictl.guests.family import Boot, Finding

TOKEN = re.compile(r"\{secret:([a-z0-9-]+)\}")
_RESERVED = re.compile(r"\{(?:qemu|accel|cpu|run|console|config|image:[^}]*|volume:[^}]*|secret:[^}]*)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LONGEST = 1012
"""Bytes of a command line: QEMU reads its configuration file in lines of 1023 bytes (measured, 7.2), 11 are its own."""


def quoted(word: str) -> str:
    """``word``, in single quotes where it holds a space, is empty, or will hold a secret nobody has seen yet."""
    return f"'{word}'" if not word or " " in word or TOKEN.search(word) else word


def secrets(line: str) -> tuple[str, ...]:
    """The names of the secrets that ``line`` waits for, sorted."""
    return tuple(sorted(set(TOKEN.findall(line))))


def assignments(boot: Boot) -> list[str]:
    """``KEY=VALUE`` for each variable, by name, so that the order in a file never matters."""
    return [f"{key}={value}" for key, value in sorted(boot.environment.items())]


def texts(service: Service) -> Iterator[tuple[Path, Text]]:
    """Every text of a service that ends up on the command line, with its place in the fleet."""
    for index, text in enumerate(service.args):
        yield ("services", service.name, "args", index), text
    for key, text in service.environment.items():
        yield ("services", service.name, "environment", key), text


def word_findings(service: Service, *, refused: str, spaces: bool = True) -> tuple[Finding, ...]:
    """Texts that the command line cannot carry: any character of ``refused``, control characters, tokens, spaces."""
    found: list[Finding] = []
    for key, text in texts(service):
        literal = "".join(part for part in text if isinstance(part, str))
        found.extend(_literal(key, literal, refused, spaces))
    found.extend(_variables(service))
    found.extend(_length(service))
    return tuple(found)


def _literal(key: Path, literal: str, refused: str, spaces: bool) -> Iterator[Finding]:
    reasons = [f"a {char} cannot stand on this guest's command line" for char in sorted(set(literal) & set(refused))]
    if _CONTROL.search(literal):
        reasons.append("a line break or control character cannot stand on a command line")
    if not spaces and " " in literal:
        reasons.append("this guest's command line cannot carry a space inside a word")
    hint = "keep it out of the command line: put the text into a file or a volume of the guest"
    yield from (Finding(code="unsafe-character", key=key, summary=reason, hint=hint) for reason in reasons)
    if match := _RESERVED.search(literal):
        yield Finding(
            code="reserved-token",
            key=key,
            summary=f"{match[0]} is a token of unictl's own launch documents",
            hint="write it in another way; a secret is written ${secret.NAME}",
        )


def _variables(service: Service) -> Iterator[Finding]:
    for key in service.environment:
        if not _VARIABLE.fullmatch(key):
            yield Finding(
                code="bad-variable",
                key=("services", service.name, "environment", key),
                summary=f"{key!r} is no name of an environment variable",
                hint="use letters, digits and '_', not beginning with a digit",
            )


def _length(service: Service) -> Iterator[Finding]:
    total = sum(len(canonical(text).encode()) + 1 for _, text in texts(service))
    if total > LONGEST:
        yield too_long(("services", service.name, "args"), total)


def too_long(key: Path, length: int) -> Finding:
    """The refusal of a command line of ``length`` bytes."""
    return Finding(
        code="command-line-too-long",
        key=key,
        summary=f"the guest's command line takes {length} bytes; QEMU's configuration file carries at most {LONGEST}",
        hint="put long texts into a file or a volume of the guest and pass its name",
    )


def argument_findings(service: Service, *, empty: bool = True, dashes: bool = True) -> Iterator[Finding]:
    """Arguments that would get lost: empty ones, ones that begin with a space, and ``--`` itself, where those count."""
    for index, text in enumerate(service.args):
        written = canonical(text)
        reason = ""
        if not empty and not written.strip():
            reason = "an empty argument gets lost on this guest's command line"
        elif not empty and written.startswith(" "):
            reason = "the space at this argument's beginning gets lost on the guest's command line"
        elif not dashes and written == "--":
            reason = "an argument '--' ends this guest's command line"
        if reason:
            key: Path = ("services", service.name, "args", index)
            yield Finding(code="lost-argument", key=key, summary=reason, hint="write it in another way")
