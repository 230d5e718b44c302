"""Words on a guest's command line: quoting, and the texts that no quoting can express. Pure.

Two parsers stand between the fleet file and the guest: QEMU's configuration file (no double quote, no control
character, one line of at most 1023 bytes) and the guest's own splitting into words.
"""

import re
from collections.abc import Iterator

from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import Service
from unictl.fleet.references import Text, canonical_text
from unictl.guests.family import Boot, GuestFinding

SECRET_TOKEN = re.compile(r"\{secret:([a-z0-9-]+)\}")
_RESERVED = re.compile(r"\{(?:qemu|accel|cpu|run|console|config|image:[^}]*|volume:[^}]*|secret:[^}]*)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_COMMAND_LINE_BYTES = 1012
"""Bytes of a command line: QEMU reads its configuration file in lines of 1023 bytes (measured, 7.2), 11 are its own."""


def quote_word(word: str) -> str:
    """``word``, in single quotes where it holds a space, is empty, or will hold a secret nobody has seen yet."""
    return f"'{word}'" if not word or " " in word or SECRET_TOKEN.search(word) else word


def secret_names(line: str) -> tuple[str, ...]:
    """The names of the secrets that ``line`` waits for, sorted."""
    return tuple(sorted(set(SECRET_TOKEN.findall(line))))


def environment_assignments(boot: Boot) -> list[str]:
    """``KEY=VALUE`` for each variable, by name, so that the order in a file never matters."""
    return [f"{key}={value}" for key, value in sorted(boot.environment.items())]


def command_texts(service: Service) -> Iterator[tuple[DocumentPath, Text]]:
    """Every text of a service that ends up on the command line, with its place in the fleet."""
    for index, text in enumerate(service.args):
        yield ("services", service.name, "args", index), text
    for key, text in service.environment.items():
        yield ("services", service.name, "environment", key), text


def check_characters(service: Service, *, refused: str, spaces: bool = True) -> tuple[GuestFinding, ...]:
    """Texts that the command line cannot carry: any character of ``refused``, control characters, tokens, spaces."""
    findings: list[GuestFinding] = []
    for key, text in command_texts(service):
        literal = "".join(part for part in text if isinstance(part, str))
        findings.extend(_check_literal(key, literal, refused, spaces))
    findings.extend(_check_variable_names(service))
    findings.extend(_check_length(service))
    return tuple(findings)


def _check_literal(key: DocumentPath, literal: str, refused: str, spaces: bool) -> Iterator[GuestFinding]:
    reasons = [f"a {char} cannot stand on this guest's command line" for char in sorted(set(literal) & set(refused))]
    if _CONTROL.search(literal):
        reasons.append("a line break or control character cannot stand on a command line")
    if not spaces and " " in literal:
        reasons.append("this guest's command line cannot carry a space inside a word")
    hint = "keep it out of the command line: put the text into a file or a volume of the guest"
    yield from (GuestFinding(code="unsafe-character", path=key, summary=reason, hint=hint) for reason in reasons)
    if match := _RESERVED.search(literal):
        yield GuestFinding(
            code="reserved-token",
            path=key,
            summary=f"{match[0]} is a token of unictl's own launch documents",
            hint="write it in another way; a secret is written ${secret.NAME}",
        )


def _check_variable_names(service: Service) -> Iterator[GuestFinding]:
    for key in service.environment:
        if not _VARIABLE.fullmatch(key):
            yield GuestFinding(
                code="bad-variable",
                path=("services", service.name, "environment", key),
                summary=f"{key!r} is no name of an environment variable",
                hint="use letters, digits and '_', not beginning with a digit",
            )


def _check_length(service: Service) -> Iterator[GuestFinding]:
    total = sum(len(canonical_text(text).encode()) + 1 for _, text in command_texts(service))
    if total > MAX_COMMAND_LINE_BYTES:
        yield too_long_finding(("services", service.name, "args"), total)


def too_long_finding(key: DocumentPath, length: int) -> GuestFinding:
    """The refusal of a command line of ``length`` bytes."""
    return GuestFinding(
        code="command-line-too-long",
        path=key,
        summary=f"the guest's command line takes {length} bytes; "
        f"QEMU's configuration file carries at most {MAX_COMMAND_LINE_BYTES}",
        hint="put long texts into a file or a volume of the guest and pass its name",
    )


def check_arguments(service: Service, *, empty: bool = True, dashes: bool = True) -> Iterator[GuestFinding]:
    """Arguments that would get lost: empty ones, ones that begin with a space, and ``--`` itself, where those count."""
    for index, text in enumerate(service.args):
        written = canonical_text(text)
        reason = ""
        if not empty and not written.strip():
            reason = "an empty argument gets lost on this guest's command line"
        elif not empty and written.startswith(" "):
            reason = "the space at this argument's beginning gets lost on the guest's command line"
        elif not dashes and written == "--":
            reason = "an argument '--' ends this guest's command line"
        if reason:
            key: DocumentPath = ("services", service.name, "args", index)
            yield GuestFinding(code="lost-argument", path=key, summary=reason, hint="write it in another way")
