"""A fleet of real guests in a folder of its own: its store, ports and id belong to one test and go with it."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from jsonschema import Draft202012Validator

STATUS = Path(__file__).parents[2] / "schemas" / "status.schema.json"
PLAYBOOK = Path(__file__).parents[2] / "playbooks" / "hello"
UNICTL = [sys.executable, "-c", "import sys; from unictl.cli.main import script; sys.exit(script())"]


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        tree: dict[str, Any] = json.loads(self.out)
        return tree


class TryFleet:
    """The hello playbook, with a root and a published port of its own."""

    def __init__(self, folder: Path, playbook: Path = PLAYBOOK):
        self.folder = folder / "fleet"
        self.root = folder / "root"
        self.port = free_port()
        self.folder.mkdir()
        for name in ("hello.elf", "fleet.yaml"):
            shutil.copy(playbook / name, self.folder / name)
        self.edit("connect: local", f"connect: local, root: {self.root}")
        self.edit(r"\{8080: http\}", f"{{{self.port}: http}}")
        self.edit("id: 5f0c2a", f"id: f{secrets.token_hex(3)}")
        first = 20000 + secrets.randbelow(900) * 10
        text = self.yaml()
        (self.folder / "fleet.yaml").write_text(text + f"\nnetworks:\n  user: {{endpoints: {first}-{first + 9}}}\n")

    def yaml(self) -> str:
        return (self.folder / "fleet.yaml").read_text()

    def edit(self, old: str, new: str) -> None:
        """Replaces what matches ``old`` (a regular expression); it must be there."""
        text, count = re.subn(old, new, self.yaml())
        assert count, f"{old} is not in the fleet file"
        (self.folder / "fleet.yaml").write_text(text)

    def run(self, command: str, *words: str, timeout: float = 120) -> Ran:
        """``unictl COMMAND FOLDER WORDS...`` as a process of its own."""
        return self._run(command, str(self.folder), *words, timeout=timeout)

    def _run(self, *words: str, timeout: float = 120) -> Ran:
        environment = {k: v for k, v in os.environ.items() if k != "CI"}
        done = subprocess.run(
            [*UNICTL, *words],
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env=environment,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def apply(self, *words: str) -> Ran:
        return self.run("apply", "-auto-approve", *words)

    def plan(self, *words: str) -> Ran:
        return self.run("plan", "-detailed-exitcode", *words)

    def logs(self, *words: str) -> Ran:
        """``unictl logs INSTANCE FOLDER WORDS...``."""
        return self._run("logs", words[0], str(self.folder), *words[1:])

    def rows(self) -> dict[str, dict[str, Any]]:
        """Live instances by name, as ``status --json`` tells them; what it tells holds to its schema."""
        status = self.run("status", "-json").json
        Draft202012Validator(json.loads(STATUS.read_text())).validate(status)
        return {row["name"]: row for row in status["instances"]}

    def until(self, true: Callable[[dict[str, dict[str, Any]]], bool], seconds: float = 60) -> None:
        """Waits for a condition on the live instances."""
        deadline = time.monotonic() + seconds
        while not true(rows := self.rows()):
            assert time.monotonic() < deadline, rows

    def behave(self, name: str, what: str) -> None:
        """Have a guest do something: crash, exit/3 ..."""
        port = self.rows()[name]["ports"]["http"]
        urlopen(Request(f"http://127.0.0.1:{port}/behave/{what}", method="POST"), timeout=10).read()

    def pid(self, name: str) -> int:
        """The process of a live instance's hypervisor."""
        key = f"{name}.{self.rows()[name]['generation']}"
        found = [pid for pid in self.processes() if f" {key} " in _argv(Path(f"/proc/{pid}"))]
        assert len(found) == 1, f"{name} has {len(found)} processes"
        return found[0]

    def processes(self) -> list[int]:
        """Everything that runs out of this fleet's store."""
        return [int(e.name) for e in Path("/proc").iterdir() if e.name.isdigit() and str(self.root) in _argv(e)]

    def running(self) -> str:
        """The command lines of what runs out of this fleet's store, a line each."""
        return "\n".join(f"{pid}: {_argv(Path(f'/proc/{pid}'))}" for pid in self.processes())

    def get(self, path: str = "/") -> str:
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            text: str = answer.read().decode()
            return text


def _argv(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
