"""Replaces the tokens of a launch document by their values on this host. One pass: a value is never expanded again."""

from __future__ import annotations

import re

from .. import errors
from ..hypervisors import drivers
from ..storage import identifiers, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHARED_TOKENS = ("run", "config", "image:[0-9a-f]{64}", "volume:[A-Za-z0-9.@_-]+", "secret:[A-Za-z0-9._-]+")
"""The tokens that any hypervisor's launch documents may hold, as regular expressions."""


def expand_argv(
    root: layout.StoreLayout, owner: str, key: str, run: dict[str, Any], console_descriptor: int
) -> list[str]:
    """The command line of one start; the accelerator is chosen now. ``console_descriptor``: its console's socket."""
    return _expand(root, owner, key, run, run["argv"], None, console_descriptor)


def expand_config(root: layout.StoreLayout, owner: str, key: str, run: dict[str, Any], secrets: dict[str, str]) -> str:
    """The boot file with its secrets; a Problem where it cannot carry them. No value is ever part of a Problem."""
    template = str(run.get("config", ""))
    for name in run.get("secrets", ()):
        if f"{{secret:{name}}}" in template:
            _check_secret(key, name, _secret_value(name, secrets), str(run.get("refused", '"')))
    lines = _expand(root, owner, key, run, template.split("\n"), secrets)
    max_length = int(run.get("longest") or 0)
    # Without a longest line the boot file is in no language that the hypervisor reads in lines.
    for line in lines if max_length else ():
        problem = drivers.require_driver(run).config_line_problem(key, line, max_length)
        if problem:
            raise _cannot_carry_error(problem)
    return "\n".join(lines)


_CHARACTER_NAMES = {'"': "a double quote", "'": "a single quote", " ": "a space"}


def _check_secret(key: str, name: str, value: str, refused_characters: str) -> None:
    reasons = [
        _CHARACTER_NAMES.get(character, character)
        for character in sorted(set(refused_characters))
        if character in value
    ]
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        reasons.append("a line break or control character")
    if any("\ud800" <= character <= "\udfff" for character in value):
        reasons.append("bytes that are no UTF-8")
    if reasons:
        raise _cannot_carry_error(
            f"secret {name} of {key} holds {' and '.join(reasons)}, which its command line cannot carry"
        )


def _cannot_carry_error(text: str) -> errors.HostError:
    return errors.HostError("unsupported", text, "put it into a file or a volume of the guest and pass its name")


def _expand(
    root: layout.StoreLayout,
    owner: str,
    key: str,
    run: dict[str, Any],
    texts: list[str],
    secrets: dict[str, str] | None,
    console_descriptor: int = -1,
) -> list[str]:
    """The texts with every token replaced, those of the record's hypervisor by what its driver says."""
    driver = drivers.require_driver(run)
    pattern = re.compile(r"\{(" + "|".join((*driver.TOKENS, *SHARED_TOKENS)) + r")\}")
    used_names = {match.group(1) for text in texts for match in pattern.finditer(text)}
    values = {}
    if used_names & set(driver.TOKENS) - {"console"}:
        values = driver.token_values(root, used_names)
    if "console" in used_names & set(driver.TOKENS):
        values["console"] = driver.console_argument(console_descriptor) if console_descriptor >= 0 else ""

    def value(match: re.Match[str]) -> str:
        name, _, argument = match.group(1).partition(":")
        if name == "secret":
            return _secret_value(argument, secrets)
        return values[name] if name in values else _token_path(root, owner, key, name, argument)

    return [pattern.sub(value, text) for text in texts]


def _secret_value(name: str, secrets: dict[str, str] | None) -> str:
    if secrets is None or name not in secrets:
        raise errors.HostError("failed", f"secret {name} did not come with the launch", "run the same command again")
    return secrets[name]


def _token_path(root: layout.StoreLayout, owner: str, key: str, name: str, argument: str) -> str:
    if name == "run":
        return root.run(identifiers.run_dir_name(owner, key))
    if name == "config":
        return root.instance(owner, key) + "/boot.cfg"
    if name == "image":
        return f"{root.images}/{argument}"
    return root.volume(owner, argument) + "/data"
