"""Secret values, read from the environment that is passed in or from a file; never printed.

A SecretValue redacts itself wherever it is shown; ``reveal`` is called only where the value is sent to a host.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Secret


class SecretValue:
    """A secret's value. Shown as ``***`` in every text."""

    __slots__ = ("_text",)

    def __init__(self, text: str):
        self._text = text

    def reveal(self) -> str:
        """The value itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretValues:
    """The values that could be read, and why the others could not."""

    values: Mapping[str, SecretValue]
    unreadable: tuple[Finding, ...]


def read_secrets(secrets: Mapping[str, Secret], environment: Mapping[str, str], folder: Path) -> SecretValues:
    """The values of ``secrets``; a file is read only inside ``folder``."""
    values: dict[str, SecretValue] = {}
    unreadable: list[Finding] = []
    for name, secret in sorted(secrets.items()):
        outcome = _read_value(secret, environment, folder)
        if isinstance(outcome, SecretValue):
            values[name] = outcome
        else:
            unreadable.append(
                Finding(path=("secrets", name), code="secret-unread", summary=outcome[0], hint=outcome[1])
            )
    return SecretValues(values=values, unreadable=tuple(unreadable))


def _read_value(secret: Secret, environment: Mapping[str, str], folder: Path) -> SecretValue | tuple[str, str]:
    if secret.env:
        if secret.env in environment:
            return SecretValue(environment[secret.env])
        return f"the variable {secret.env} is not set", f"export {secret.env} before you run unictl"
    path = (folder / secret.file).resolve()
    if not path.is_relative_to(folder.resolve()):
        return f"{secret.file} lies outside of the fleet's folder", "put it inside, and into .gitignore"
    try:
        return SecretValue(path.read_text().rstrip("\n"))
    except (OSError, UnicodeDecodeError) as error:
        return f"{secret.file} cannot be read: {error}", "make it readable for your user"
