"""Words on a guest's command line: quoting, and the texts that no quoting can express. Pure.

Two parsers stand between the fleet file and the guest: the hypervisor's (QEMU's configuration file carries no double
quote, no control character, and one line of at most 1023 bytes) and the guest's own splitting into words.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import Service
from unictl.fleet.references import Text, canonical_text
from unictl.guests.family import Boot

SECRET_TOKEN = re.compile(r"\{secret:([a-z0-9-]+)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLimit:
    """How long a guest's command line may be under one hypervisor."""

    # Bytes.
    size: int
    # What cannot carry more, as users know it.
    carrier: str


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


def check_characters(service: Service, *, refused: str, spaces: bool = True) -> tuple[Finding, ...]:
    """Texts that the guest's command line cannot carry: any character of ``refused``, control characters, spaces."""
    findings: list[Finding] = []
    for key, text in command_texts(service):
        findings.extend(_check_literal(key, _literal_text(text), refused, spaces))
    findings.extend(_check_variable_names(service))
    return tuple(findings)


def _literal_text(text: Text) -> str:
    return "".join(part for part in text if isinstance(part, str))


def _check_literal(key: DocumentPath, literal: str, refused: str, spaces: bool) -> Iterator[Finding]:
    reasons = [f"a {char} cannot stand on this guest's command line" for char in sorted(set(literal) & set(refused))]
    if _CONTROL.search(literal):
        reasons.append("a line break or control character cannot stand on a command line")
    if not spaces and " " in literal:
        reasons.append("this guest's command line cannot carry a space inside a word")
    hint = "keep it out of the command line: put the text into a file or a volume of the guest"
    yield from (Finding(code="unsafe-character", path=key, summary=reason, hint=hint) for reason in reasons)


def _check_variable_names(service: Service) -> Iterator[Finding]:
    for key in service.environment:
        if not _VARIABLE.fullmatch(key):
            yield Finding(
                code="bad-variable",
                path=("services", service.name, "environment", key),
                summary=f"{key!r} is no name of an environment variable",
                hint="use letters, digits and '_', not beginning with a digit",
            )


def check_reserved_tokens(service: Service, tokens: Sequence[str]) -> Iterator[Finding]:
    """Texts that a host would take for tokens of the launch document; ``tokens`` are regular expressions."""
    reserved = re.compile(r"\{(?:" + "|".join(tokens) + r")\}")
    for key, text in command_texts(service):
        if match := reserved.search(_literal_text(text)):
            yield Finding(
                code="reserved-token",
                path=key,
                summary=f"{match[0]} is a token of unictl's own launch documents",
                hint="write it in another way; a secret is written ${secret.NAME}",
            )


def check_written_length(service: Service, limit: LineLimit | None) -> Iterator[Finding]:
    """A command line that is too long as it is written, whatever its references turn out to be."""
    total = sum(len(canonical_text(text).encode()) + 1 for _, text in command_texts(service))
    yield from check_line_length(service.name, total, limit)


def check_line_length(service: str, length: int, limit: LineLimit | None) -> Iterator[Finding]:
    """A command line of ``length`` bytes that is longer than the hypervisor can carry."""
    if limit is not None and length > limit.size:
        yield Finding(
            code="command-line-too-long",
            path=("services", service, "args"),
            summary=f"the guest's command line takes {length} bytes; {limit.carrier} carries at most {limit.size}",
            hint="put long texts into a file or a volume of the guest and pass its name",
        )


def check_arguments(service: Service, *, empty: bool = True, dashes: bool = True) -> Iterator[Finding]:
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
            yield Finding(code="lost-argument", path=key, summary=reason, hint="write it in another way")
