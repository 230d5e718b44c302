"""Replaces the tokens of a launch document by their values on this host. One pass: a value is never expanded again."""

from __future__ import annotations

import re

from .. import errors
from ..platform.programs import QEMU_NAMES, find_program
from ..storage import identifiers, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

_TOKEN = re.compile(
    r"\{(qemu|accel|cpu|run|console|config|image:[0-9a-f]{64}|volume:[A-Za-z0-9.@_-]+|secret:[A-Za-z0-9._-]+)\}"
)


CONSOLE_ON_OUTPUT = "stdio,id=console,signal=off"
"""QEMU's console as the process's own output."""


def expand_argv(
    root: layout.StoreLayout, owner: str, key: str, run: dict[str, Any], console: str = CONSOLE_ON_OUTPUT
) -> list[str]:
    """The command line of one start; the accelerator is chosen now. ``console``: what QEMU's console is."""
    expand = _token_expander(root, owner, key, console=console)
    return [_TOKEN.sub(expand, argument) for argument in run["argv"]]


def expand_config(root: layout.StoreLayout, owner: str, key: str, run: dict[str, Any], secrets: dict[str, str]) -> str:
    """The boot file with its secrets; a Problem where it cannot carry them. No value is ever part of a Problem."""
    template = str(run.get("config", ""))
    for name in run.get("secrets", ()):
        if f"{{secret:{name}}}" in template:
            _check_secret(key, name, _secret_value(name, secrets), str(run.get("refused", '"')))
    expand = _token_expander(root, owner, key, secrets)
    lines = [_TOKEN.sub(expand, line) for line in template.split("\n")]
    for line in lines:
        _check_line(key, line, int(run.get("longest") or 0))
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


def _check_line(key: str, line: str, max_length: int) -> None:
    """A line of QEMU's own configuration language; other boot files have no longest line."""
    option, _, value = line.partition(" = ")
    size = len(line.encode())
    if not max_length:
        return
    if size > max_length:
        subject = f"the command line of {key}" if option == "append" else f"a line of the boot file of {key}"
        raise _cannot_carry_error(f"with its secrets {subject} is {size - max_length} bytes too long for QEMU to read")
    if '"' in value[1:-1]:
        raise _cannot_carry_error(
            f"the line {option!r} in the boot file of {key} holds a double quote, which QEMU cannot read"
        )


def _cannot_carry_error(text: str) -> errors.HostError:
    return errors.HostError("unsupported", text, "put it into a file or a volume of the guest and pass its name")


def _token_expander(
    root: layout.StoreLayout, owner: str, key: str, secrets: dict[str, str] | None = None, console: str = ""
) -> Callable[[re.Match[str]], str]:
    chosen: dict[str, str] = {}

    def accelerator_field(name: str) -> str:
        if not chosen:
            from ..hypervisors.qemu import accelerator

            chosen.update(accelerator.choose(root, _qemu_path()) or {})
        return str(chosen[name])

    def value(match: re.Match[str]) -> str:
        name, _, argument = match.group(1).partition(":")
        if name in ("accel", "cpu"):
            return accelerator_field(name)
        if name == "console":
            return console
        if name == "secret":
            return _secret_value(argument, secrets)
        return _token_path(root, owner, key, name, argument)

    return value


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
    if name == "volume":
        return root.volume(owner, argument) + "/data"
    return _qemu_path()


def _qemu_path() -> str:
    path = find_program(*QEMU_NAMES)
    if not path:
        raise errors.HostError("unsupported", "there is no QEMU on this host", "install qemu-system-x86 there")
    return path
