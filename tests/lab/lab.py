"""A lab as a value: hosts by name, the way into its network, and the end of it all."""

import fcntl
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import recipe, supervisor

NETWORK = "10.77.0"
SUITES = ("bookworm",)
DISK = "512m"
WRONG_CLOCK = """\
#!/bin/sh
# Puts a line before the program that follows -c.
left=$# code= done=
while [ $left -gt 0 ]; do
    word=$1; shift
    if [ "$code" ]; then
        word="import time as _time; _now = _time.time; _time.time = lambda: _now() + SECONDS
$word"
        code= done=yes
    elif [ "$word" = -c ] && [ -z "$done" ]; then code=yes
    fi
    set -- "$@" "$word"; left=$((left - 1))
done
exec /usr/bin/python3.real "$@"
"""
ELSEWHERE = 97
"""How a command ends that came to another root than its host's."""
PATIENCE = 90.0
"""Seconds for a host to answer: two when nothing else runs, many more on a loaded machine."""


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str


class LabHost:
    """One host of a lab."""

    def __init__(self, lab: "Lab", described: dict[str, Any]):
        self.lab = lab
        self.name: str = described["name"]
        self.address: str = described["address"]
        self.suite: str = described["suite"]

    def run(self, command: str, *, user: str = "root", check: bool = True, timeout: float = 60, stdin: str = "") -> Ran:
        """A command line over ssh."""
        return _run(["ssh", f"{user}@{self.name}", command], self.lab.env, check, timeout, stdin)

    def enter(self, command: str, *, check: bool = True, timeout: float = 60) -> Ran:
        """A command line in its namespaces, as root: needs neither its network nor its sshd.

        Nothing of it runs unless the root it came to is that host's: while a host starts, and where this machine's own
        root is not its mount namespace's, a namespace alone may lead to this machine's files.
        """
        words = ["nsenter", "-t", str(self.leader), "-r", "-w", "-m", "-u", "-i", "-n", "-p", "-C", "--", "sh", "-c"]
        here = f'[ -x /etc/lab-entry ] && [ "$(cat /etc/hostname)" = {self.name} ] || exit {ELSEWHERE}\n'
        ran = _run([*words, here + command], None, False, timeout)
        if ran.code == ELSEWHERE:
            raise RuntimeError(f"{self.name} is not up: its process 1 has another root yet")
        assert not check or ran.code == 0, f"{command} on {self.name} ended with {ran.code}:\n{ran.out}{ran.err}"
        return ran

    @property
    def leader(self) -> int:
        """Its process 1, as numbered here."""
        found = self._leader()
        if not found:
            raise RuntimeError(f"{self.name} is not up")
        return found

    def _leader(self) -> int:
        """The same; 0 while it is down."""
        try:
            for shell in supervisor.children(self.lab.pid):
                words = Path(f"/proc/{shell}/cmdline").read_bytes().split(b"\0")
                if f"--machine={self.name}".encode() in words and (below := supervisor.children(shell)):
                    return below[0]
        except OSError:
            # It ended while it was looked at.
            return 0
        return 0

    @property
    def up(self) -> bool:
        """Whether it is powered on."""
        return self._leader() > 0

    def path(self, inside: str) -> Path:
        """One of its files, seen from here; also while it is down."""
        return Path(f"/proc/{self.lab.pid}/root{supervisor.HERE}/{self.name}/root{inside}")

    def processes(self, word: str) -> list[int]:
        """What runs there with this word in its command line, as numbered here."""
        group = f"/unictl-lab/{self.lab.name}/{self.name}"
        return [pid for pid in _pids() if word in _argv(pid) and group in _read(f"/proc/{pid}/cgroup")]

    # -- what befalls it

    def start(self) -> None:
        """Power on, and wait until it answers."""
        self.lab.ask("start", host=self.name)
        self.wait()

    def wait(self, seconds: float = PATIENCE) -> None:
        """Until its sshd answers."""
        self.lab.ask("wait", host=self.name, seconds=seconds)

    def power_cut(self) -> None:
        """Every process of it dies at once; ``start`` brings it back with its disk."""
        self.lab.ask("kill", host=self.name)

    def reboot(self, *, wait: bool = True) -> None:
        """An orderly reboot."""
        before = self.leader
        self.enter("systemctl --no-block reboot")
        until(lambda: self._leader() not in (0, before), f"{self.name} reboots")
        if wait:
            self.wait()

    def fresh(self) -> None:
        """As just installed, and up."""
        self.lab.ask("fresh", host=self.name)
        self.start()

    def cut(self) -> None:
        """Its cable is pulled."""
        self.lab.on_network("ip", "link", "set", f"vb-{self.name}", "down")

    def drop(self) -> None:
        """Every packet from and to it is lost; nobody is told."""
        chain = "add chain inet lab {0} {{ type filter hook {0} priority -300; policy drop; }}"
        rules = "; ".join(["add table inet lab", chain.format("input"), chain.format("output")])
        self.enter(f"nft '{rules}'")

    def mend(self) -> None:
        """Cable and packets as they were."""
        self.lab.on_network("ip", "link", "set", f"vb-{self.name}", "up")
        if self.up:
            self.enter("nft delete table inet lab 2>/dev/null; true")

    def clock(self, seconds: int) -> None:
        """Its clock is wrong by so much for every ``python3 -c`` started from now on (0: right again).

        The kernel has one clock for all; so what reads it there is made to read another.
        """
        self.replace_python(WRONG_CLOCK.replace("SECONDS", str(seconds)) if seconds else "")

    def replace_python(self, script: str) -> None:
        """Another ``/usr/bin/python3``, a script; empty: its own again. The right one is ``python3.real``."""
        real = self.path("/usr/bin/python3.real")
        if not real.is_symlink():
            self.path("/usr/bin/python3").rename(real)
        aside = self.path("/usr/bin/python3.new")
        aside.write_text(script or '#!/bin/sh\nexec /usr/bin/python3.real "$@"\n')
        aside.chmod(0o755)
        aside.rename(self.path("/usr/bin/python3"))


class Lab:
    """A running lab. ``Lab.up`` makes one, ``Lab.find`` takes one that runs."""

    def __init__(self, folder: Path):
        described = json.loads((folder / "lab.json").read_text())
        self.folder = folder
        self.name: str = described["name"]
        self.pid = _listener(folder / "control")
        self.hosts = {each["name"]: LabHost(self, each) for each in described["hosts"]}
        self._process: subprocess.Popen[bytes] | None = None

    def __getitem__(self, name: str) -> LabHost:
        return self.hosts[name]

    def __iter__(self) -> Iterator[LabHost]:
        return iter(self.hosts.values())

    @classmethod
    def up(
        cls, count: int, *, name: str = "", suites: Sequence[str] = SUITES, lifeline: bool = True, disk: str = DISK
    ) -> "Lab":
        """``count`` hosts, hv1 ..., booted and answering. ``lifeline``: the lab dies with this process."""
        sweep()
        name = name or f"t{secrets.token_hex(4)}"
        folder = recipe.cache() / "labs" / name
        folder.mkdir(parents=True, mode=0o700)
        roots = {suite: recipe.root(recipe.Recipe(suite=suite)) for suite in suites}
        _describe(folder, name, count, roots, lifeline, disk)
        _keys(folder, count)
        process = _begin(folder, lifeline)
        until(lambda: (folder / "control").exists() or process.poll() is not None, f"lab {name} begins")
        if process.poll() is not None:
            raise RuntimeError(f"the lab does not begin: {(folder / 'supervisor.log').read_text()}")
        lab = cls(folder)
        lab._process = process
        try:
            lab._ssh()
            lab.each(LabHost.start)
        except BaseException:
            lab.down()
            raise
        return lab

    @classmethod
    def find(cls, name: str) -> "Lab":
        """The running lab of this name."""
        folder = recipe.cache() / "labs" / name
        if not _alive(folder):
            raise RuntimeError(f"no lab called {name} runs")
        return cls(folder)

    def down(self) -> None:
        """Everything of it is gone when this returns."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        until(lambda: not _alive(self.folder), f"lab {self.name} ends")
        _remove(self.folder)

    def each(self, act: Callable[[LabHost], object]) -> None:
        """The same with every host, all at once."""
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(act, self))

    @property
    def env(self) -> dict[str, str]:
        """An environment whose ``ssh`` knows the hosts by name and reaches them."""
        return {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    @property
    def inside(self) -> tuple[str, ...]:
        """Command prefix: onto the lab's network."""
        return ("nsenter", "-t", str(self.pid), "-n", "--")

    def on_network(self, *words: str, check: bool = True, timeout: float = 60) -> Ran:
        """A command on the lab's network, where it is 10.77.0.1."""
        return _run([*self.inside, *words], self.env, check, timeout)

    def ask(self, do: str, **rest: Any) -> None:
        """One request to the supervisor."""
        with socket.socket(socket.AF_UNIX) as there:
            there.connect(str(self.folder / "control"))
            with there.makefile("rw") as file:
                file.write(json.dumps({"do": do, **rest}) + "\n")
                file.flush()
                answer = json.loads(file.readline() or '{"error": "the lab has ended"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])

    def _ssh(self) -> None:
        """An ssh of our own, first in PATH, with keys and known hosts of this lab alone."""
        hosts = "".join(f"Host {h.name}\n  HostName {h.address}\n  HostKeyAlias {h.name}\n" for h in self)
        keys = (f"{self.folder}/user", f"{self.folder}/known_hosts")
        common = f"Host *\n  IdentityFile {keys[0]}\n  IdentitiesOnly yes\n  UserKnownHostsFile {keys[1]}\n"
        common += "  IdentityAgent none\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
        (self.folder / "ssh_config").write_text(hosts + common)
        known = [f"{h.name},{h.address} {(self.folder / f'{h.name}.key.pub').read_text()}" for h in self]
        (self.folder / "known_hosts").write_text("".join(known))
        self._program(self.folder, self.folder / "ssh_config")

    def _program(self, folder: Path, config: Path) -> None:
        program = folder / "bin" / "ssh"
        program.parent.mkdir(exist_ok=True)
        real = shutil.which("ssh") or "/usr/bin/ssh"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(self.inside)} {real} -F {config} "$@"\n')
        program.chmod(0o755)

    def configured(self, folder: Path, lines: str, *, key: bool = True) -> dict[str, str]:
        """Like ``env``, with these lines of ssh_config before the lab's; ``folder`` is for what that needs.
        ``key``: whether the lab's own key is used."""
        config = folder / "ssh_config"
        text = (self.folder / "ssh_config").read_text()
        kept = text if key else "".join(line + "\n" for line in text.splitlines() if "IdentityFile" not in line)
        config.write_text(f"{lines}\n{kept}")
        self._program(folder, config)
        return {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}


def sweep() -> None:
    """Takes away what labs whose processes are dead have left: folders and empty control groups."""
    labs = recipe.cache() / "labs"
    labs.mkdir(parents=True, exist_ok=True)
    with recipe.locked(labs.parent / "sweep.lock"):
        for folder in labs.iterdir():
            with suppress(FileNotFoundError):  # A lab that goes down meanwhile takes its folder away itself.
                young = time.time() - folder.stat().st_mtime < 600 and not (folder / "control").exists()
                if not young and not _alive(folder):
                    _remove(folder)


def until(condition: Callable[[], object], what: str | Callable[[], str], seconds: float = PATIENCE) -> None:
    """Waits for a condition; AssertionError, saying what was waited for, when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.03)


def _describe(folder: Path, name: str, count: int, roots: dict[str, Path], lifeline: bool, disk: str) -> None:
    names = list(roots)
    hosts = []
    for number in range(count):
        suite = names[number % len(names)]
        hosts.append(
            {
                "name": f"hv{number + 1}",
                "address": f"{NETWORK}.{11 + number}",
                "suite": suite,
                "base": str(roots[suite]),
                "machine_id": secrets.token_hex(16),
            }
        )
    lab = {"name": name, "gateway": f"{NETWORK}.1", "lifeline": lifeline, "disk": disk, "hosts": hosts}
    (folder / "lab.json").write_text(json.dumps(lab, indent=1))


def _keys(folder: Path, count: int) -> None:
    for name in ("user", "ca", *(f"hv{number + 1}.key" for number in range(count))):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(words, check=True)


def _begin(folder: Path, lifeline: bool) -> subprocess.Popen[bytes]:
    words = ["unshare", "--fork", "--pid", "--mount", "--net", "--mount-proc", "--propagation=private", "--kill-child"]
    # The shell is process 1: it reaps, and when the supervisor ends the kernel ends the rest.
    words += ["sh", "-c", '"$0" -I "$1" "$2"; exit', sys.executable, str(Path(supervisor.__file__)), str(folder)]
    with (folder / "supervisor.log").open("w") as log:
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE if lifeline else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _alive(folder: Path) -> bool:
    try:
        with (folder / "alive").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _listener(path: Path) -> int:
    """Who listens on a socket, as numbered here."""
    with socket.socket(socket.AF_UNIX) as there:
        there.connect(str(path))
        said = there.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", said)[0])


def _remove(folder: Path) -> None:
    for hierarchy in [supervisor.CGROUPS, *supervisor.CGROUPS.iterdir()]:
        group = hierarchy / "unictl-lab" / folder.name
        if group.is_dir() and not hierarchy.is_symlink():
            until(lambda group=group: _emptied(group), f"{group} is empty", 20)
            with suppress(OSError):
                group.parent.rmdir()
    shutil.rmtree(folder)


def _emptied(group: Path) -> bool:
    """Whether the control group could be taken away whole; the kernel needs a moment after its last process."""
    try:
        for path, _, _ in os.walk(group, topdown=False):
            os.rmdir(path)  # noqa: PTH106
    except OSError:
        return False
    return True


def _run(words: list[str], env: dict[str, str] | None, check: bool, timeout: float, stdin: str = "") -> Ran:
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=timeout, input=stdin, check=False)
    ran = Ran(done.returncode, done.stdout, done.stderr)
    assert not check or ran.code == 0, f"{' '.join(words)} ended with {ran.code}:\n{ran.out}{ran.err}"
    return ran


def _pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def _argv(pid: int) -> str:
    return _read(f"/proc/{pid}/cmdline").replace("\0", " ")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
