"""Tokens of a launch document -> what they mean on this host. One pass: a value is never read as tokens again."""

from __future__ import annotations

import re

from . import records, wire
from .programs import QEMU, which

__all__ = ["QEMU", "argv", "config", "which"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

_TOKEN = re.compile(
    r"\{(qemu|accel|cpu|run|console|config|image:[0-9a-f]{64}|volume:[A-Za-z0-9.@_-]+|secret:[A-Za-z0-9._-]+)\}"
)
_VALUE = re.compile(r'^\s*[\w.-]+\s*=\s*"(.*)"\s*$')
VALUE_LIMIT = 1023
"""QEMU's -readconfig parser breaks at values of this many bytes."""


OUTPUT = "stdio,id=console,signal=off"
"""QEMU's console as the process's own output."""


def argv(root: records.Root, owner: str, key: str, run: dict[str, Any], console: str = OUTPUT) -> list[str]:
    """The command line of one start; the accelerator is chosen now. ``console``: what QEMU's console is."""
    known = _known(root, owner, key, console=console)
    return [_TOKEN.sub(known, word) for word in run["argv"]]


def config(root: records.Root, owner: str, key: str, run: dict[str, Any], secrets: dict[str, str]) -> str:
    """The boot file with its secrets; a Problem where QEMU could not read it."""
    known = _known(root, owner, key, secrets)
    text = "\n".join(_TOKEN.sub(known, line) for line in run.get("config", "").split("\n"))
    if run.get("hypervisor") == "qemu":
        for name in run.get("secrets", ()):
            _check_secret(key, name, secrets.get(name, ""), run.get("config", ""))
        for line in text.split("\n"):
            _check_line(key, line)
    return text


def _check_secret(key: str, name: str, value: str, template: str) -> None:
    if f"{{secret:{name}}}" in template and any(c in value for c in '"\n\r\0'):
        raise wire.Problem(
            "unsupported",
            f"secret {name} of {key} holds a double quote or a line break, which QEMU's boot file cannot carry",
            f"give it to the guest as a file (`files: {{/PATH: {{secret: {name}}}}}`)",
        )


def _check_line(key: str, line: str) -> None:
    found = _VALUE.match(line)
    if not found:
        return
    if '"' in found.group(1):
        why = "holds a double quote"
    elif len(found.group(1).encode()) >= VALUE_LIMIT:
        why = f"is longer than {VALUE_LIMIT - 1} bytes"
    else:
        return
    raise wire.Problem(
        "unsupported",
        f"the command line of {key} {why}, which QEMU's boot file cannot carry",
        "give long or quoted values to the guest as a file (`files:`)",
    )


def _known(
    root: records.Root, owner: str, key: str, secrets: dict[str, str] | None = None, console: str = ""
) -> Callable[[re.Match[str]], str]:
    chosen: dict[str, str] = {}

    def accelerator(name: str) -> str:
        if not chosen:
            from . import accelerator as module

            chosen.update(module.choose(root, _qemu()) or {})
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
        raise wire.Problem("failed", f"secret {name} did not come with the launch", "run the same command again")
    return secrets[name]


def _path(root: records.Root, owner: str, key: str, name: str, rest: str) -> str:
    if name == "run":
        return root.run(records.token(owner, key))
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
        raise wire.Problem("unsupported", "there is no QEMU on this host", "install qemu-system-x86 there")
    return path
