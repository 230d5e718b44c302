"""The lab playbook on a lab: its own copy of the files, commands as processes, and what is counted on the hosts."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.lab import supervisor
from tests.lab.lab import Lab, LabHost, until
from tests.operations.fleets import UNICTL, Ran

PLAYBOOK = Path(__file__).parents[2] / "playbooks" / "lab"
OWNER = "lab-1ab3e7"
STORE = "/var/lib/unictl"
NAMES = {"counter-0", *(f"{service}-{n}" for service in ("api", "front") for n in range(3))}
GUEST = re.compile(r"-name (\S+?)\.[0-9a-f]{8}\b")


@dataclass(frozen=True)
class Left:
    """What a fleet has on a host: processes by kind, ports that are listened on, records (they are the claims), units
    (files, links to them, and those that are up or failed), network links, files aside, run folders."""

    processes: dict[str, int]
    ports: frozenset[str]
    instances: frozenset[str]
    units: tuple[str, ...]
    links: tuple[str, ...]
    aside: tuple[str, ...]
    runs: int

    def counted(self) -> Counter[str]:
        """How many of each; what two converged states of one fleet have alike, summed over its hosts."""
        several = {"ports": self.ports, "records": self.instances, "units": self.units, "links": self.links}
        return Counter(self.processes) + Counter(
            {kind: len(each) for kind, each in several.items()} | {"runs": self.runs}
        )


class LabFleet:
    """The playbook's fleet in a folder of its own."""

    def __init__(self, lab: Lab, folder: Path):
        self.lab = lab
        self.folder = folder
        self.sound = False
        self.counted: Counter[str] | None = None
        shutil.copytree(PLAYBOOK, folder)

    def edit(self, old: str, new: str) -> None:
        """Replaces a text of the fleet file; it must be there."""
        file = self.folder / "fleet.yaml"
        text = file.read_text()
        assert old in text, f"{old} is not in the fleet file"
        file.write_text(text.replace(old, new))

    def start(self, command: str, *words: str, out: IO[bytes] | int = subprocess.PIPE) -> subprocess.Popen[str]:
        """``unictl COMMAND FOLDER WORDS...``, under way."""
        return subprocess.Popen(
            [*UNICTL, command, str(self.folder), *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.env,
            start_new_session=True,
        )

    @property
    def env(self) -> dict[str, str]:
        return {key: value for key, value in self.lab.env.items() if key != "CI"}

    def run(self, command: str, *words: str, timeout: float = 180) -> Ran:
        """The same, to its end; what it printed in ``out``."""
        process = self.start(command, *words)
        out, _ = process.communicate(timeout=timeout)
        return Ran(process.returncode, out, "")

    def apply(self, *words: str) -> Ran:
        return self.run("apply", "-auto-approve", *words)

    def converge(self) -> Ran:
        """An apply that must end well, and a plan after it that must be empty; how the apply ended."""
        applied = self.apply("-lock-timeout", "60s", "-retry")
        assert applied.code == 0, applied.out
        again = self.run("plan", "-detailed-exitcode")
        assert again.code == 0, again.out
        self.check()
        self.sound = True
        return applied

    def check(self) -> None:
        """Every replica there once, on some host, and nothing besides; of all else as many as when it stood first."""
        found = self.guests()
        assert set(found) == NAMES, found
        assert set(found.values()) == {1}, found
        for host in self.lab:
            left = self.left(host)
            assert left.aside == (), left
            assert len(left.instances) == left.processes["guest"], left
            assert left.processes["supervisor"] <= 1, left
            assert left.processes["host side"] == 0, left
        self.counted = self.counted or self.count()
        # HAProxy lets connections end before its old process goes.
        until(lambda: self.count() == self.counted, lambda: f"{self.count()} is as before, {self.counted}")

    def count(self) -> Counter[str]:
        """How many of each kind of thing the fleet has, over all hosts."""
        return sum((self.left(host).counted() for host in self.lab), Counter())

    def guests(self) -> Counter[str]:
        """Names of the guests that run, over all hosts."""
        return Counter(
            name
            for host in self.lab
            for pid in host.processes("qemu-system")
            for name in GUEST.findall(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode())
        )

    def guest(self, name: str) -> tuple[LabHost, int]:
        """Where a guest runs, and its process as numbered here."""
        for host in self.lab:
            for pid in host.processes(f"-name {name}."):
                return host, pid
        raise AssertionError(f"{name} runs nowhere")

    def ssh_to(self, parent: int, host: LabHost) -> int:
        """The ssh of a running command that leads to one host."""
        for pid in supervisor.children(parent):
            if host.name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return pid
        raise AssertionError(f"no ssh leads to {host.name}")

    def rows(self) -> dict[str, dict[str, Any]]:
        """Live instances by name."""
        told: dict[str, Any] = json.loads(self.run("status", "-json").out)
        return {row["name"]: row for row in told["instances"]}

    def get(self, host: LabHost, path: str = "/json") -> dict[str, Any]:
        """What the published port of one host answers."""
        answer: dict[str, Any] = json.loads(self.lab.on_network(*_asking(host, path)).out)
        return answer

    def answers(self, host: LabHost) -> bool:
        """Whether the published port of one host answers: its ingress may be there and not listen yet."""
        return self.lab.on_network(*_asking(host, "/json"), check=False).code == 0

    def instances(self, host: LabHost) -> frozenset[str]:
        """Keys of the records on a host."""
        folder = host.path(f"{STORE}/fleets/{OWNER}/instances")
        return frozenset(each.name for each in folder.glob("*.*") if not each.name.startswith("."))

    def left(self, host: LabHost) -> Left:
        """What is there of the fleet."""
        kinds = {
            "guest": "qemu-system",
            "haproxy": "haproxy",
            "supervisor": "import supervisor",
            "host side": "binascii",
        }
        store = host.path(STORE)
        listening = host.enter("ss -Hltn").out.split("\n")
        return Left(
            processes={kind: len(host.processes(word)) for kind, word in kinds.items()},
            ports=frozenset(line.split()[3] for line in listening if line and not line.split()[3].endswith(":22")),
            instances=self.instances(host),
            # What has ended and has no file any more is forgotten with the next change of a unit there.
            units=tuple(units(host, "--state=active,activating,deactivating,failed")),
            links=tuple(line.split(":")[1].strip() for line in host.enter("ip -o link").out.splitlines()),
            aside=tuple(str(each) for each in store.glob("**/.[gn]*-*") if each.name.startswith((".new-", ".gone-"))),
            runs=sum(1 for _ in store.glob("run/*")),
        )


def units(host: LabHost, among: str = "--all") -> list[str]:
    """Unit files of ours, links to them, and what systemd has in mind; or of that only what matches ``among``."""
    listed = f"ls /etc/systemd/system /etc/systemd/system/*.wants; systemctl list-units {among} --plain --no-legend"
    return [line for line in host.enter(f"({listed}) | grep unictl- || true").out.splitlines() if line]


def wait_for_record(host: LabHost, prefix: str = "") -> None:
    """Until an instance of the fleet is recorded on a host: an apply is under way there."""
    folder = host.path(f"{STORE}/fleets/{OWNER}/instances")
    until(lambda: list(folder.glob(f"{prefix}*.*")), f"an instance {prefix} is recorded on {host.name}")


def ended(process: subprocess.Popen[str], seconds: float = 120) -> Ran:
    """How a command that was under way ended."""
    out, _ = process.communicate(timeout=seconds)
    assert "Traceback" not in out, out
    return Ran(process.returncode, out, "")


def kill(process: subprocess.Popen[str], number: int) -> None:
    """Send a signal to one command."""
    os.kill(process.pid, number)


def _asking(host: LabHost, path: str) -> tuple[str, ...]:
    return "curl", "-sSf", "-m", "10", f"http://{host.address}:8080{path}"
