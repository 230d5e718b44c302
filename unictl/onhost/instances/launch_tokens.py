"""Replaces the tokens of a launch document by their values on this host. One pass: a value is never expanded
again.
"""

from __future__ import annotations

import re

from ..platform.programs import QEMU, which
from ..protocol import frames
from ..storage import layout

__all__ = ["QEMU", "argv", "config", "which"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

_TOKEN = re.compile(
    r"\{(qemu|accel|cpu|run|console|config|image:[0-9a-f]{64}|volume:[A-Za-z0-9.@_-]+|secret:[A-Za-z0-9._-]+)\}"
)


OUTPUT = "stdio,id=console,signal=off"
"""QEMU's console as the process's own output."""


def argv(root: layout.Root, owner: str, key: str, run: dict[str, Any], console: str = OUTPUT) -> list[str]:
    """The command line of one start; the accelerator is chosen now. ``console``: what QEMU's console is."""
    known = _known(root, owner, key, console=console)
    return [_TOKEN.sub(known, word) for word in run["argv"]]


def config(root: layout.Root, owner: str, key: str, run: dict[str, Any], secrets: dict[str, str]) -> str:
    """The boot file with its secrets; a Problem where it cannot carry them. No value is ever part of a Problem."""
    template = str(run.get("config", ""))
    for name in run.get("secrets", ()):
        if f"{{secret:{name}}}" in template:
            _check_secret(key, name, _secret(name, secrets), str(run.get("refused", '"')))
    known = _known(root, owner, key, secrets)
    lines = [_TOKEN.sub(known, line) for line in template.split("\n")]
    for line in lines:
        _check_line(key, line, int(run.get("longest") or 0))
    return "\n".join(lines)


_NAMES = {'"': "a double quote", "'": "a single quote", " ": "a space"}


def _check_secret(key: str, name: str, value: str, refused: str) -> None:
    held = [_NAMES.get(char, char) for char in sorted(set(refused)) if char in value]
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        held.append("a line break or control character")
    if any("\ud800" <= char <= "\udfff" for char in value):
        held.append("bytes that are no UTF-8")
    if held:
        raise _cannot_carry(f"secret {name} of {key} holds {' and '.join(held)}, which its command line cannot carry")


def _check_line(key: str, line: str, longest: int) -> None:
    """A line of QEMU's own configuration language; other boot files have no longest line."""
    word, _, value = line.partition(" = ")
    size = len(line.encode())
    if not longest:
        return
    if size > longest:
        what = f"the command line of {key}" if word == "append" else f"a line of the boot file of {key}"
        raise _cannot_carry(f"with its secrets {what} is {size - longest} bytes too long for QEMU to read")
    if '"' in value[1:-1]:
        raise _cannot_carry(f"the line {word!r} in the boot file of {key} holds a double quote, which QEMU cannot read")


def _cannot_carry(text: str) -> frames.Problem:
    return frames.Problem("unsupported", text, "put it into a file or a volume of the guest and pass its name")


def _known(
    root: layout.Root, owner: str, key: str, secrets: dict[str, str] | None = None, console: str = ""
) -> Callable[[re.Match[str]], str]:
    chosen: dict[str, str] = {}

    def accelerator(name: str) -> str:
        if not chosen:
            from ..hypervisors.qemu import accelerator

            chosen.update(accelerator.choose(root, _qemu()) or {})
        return str(chosen[name])

    def value(found: re.Match[str]) -> str:
        name, _, rest = found.group(1).partition(":")
        if name in ("accel", "cpu"):
            return accelerator(name)
        if name == "console":
            return console
        if name == "secret":
            return _secret(rest, secrets)
        return _path(root, owner, key, name, rest)

    return value


def _secret(name: str, secrets: dict[str, str] | None) -> str:
    if secrets is None or name not in secrets:
        raise frames.Problem("failed", f"secret {name} did not come with the launch", "run the same command again")
    return secrets[name]


def _path(root: layout.Root, owner: str, key: str, name: str, rest: str) -> str:
    if name == "run":
        return root.run(layout.token(owner, key))
    if name == "config":
        return root.instance(owner, key) + "/boot.cfg"
    if name == "image":
        return f"{root.images}/{rest}"
    if name == "volume":
        return root.volume(owner, rest) + "/data"
    return _qemu()


def _qemu() -> str:
    path = which(*QEMU)
    if not path:
        raise frames.Problem("unsupported", "there is no QEMU on this host", "install qemu-system-x86 there")
    return path
