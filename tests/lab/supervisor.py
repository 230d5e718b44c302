"""The lab's first process, in namespaces of its own: makes the bridge, mounts roots, boots hosts when told to.

Run as ``unshare ... sh -c 'python supervisor.py FOLDER; exit'`` by ``tests.lab.lab``; the shell reaps. Standard library
only. It speaks lines of JSON over FOLDER/control. With ``lifeline`` in its description it ends with its standard input.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

BRIDGE = "lab0"
HERE = Path("/run/lab")
CGROUPS = Path("/sys/fs/cgroup")
REBOOTED = 133
"""How systemd-nspawn ends with --keep-unit when the machine in it wants to begin again."""
DEVICES = ("/dev/kvm", "/dev/net/tun")
ENTER = 'for each in $0; do echo 0 > "$each"; done; exec "$@"'
"""Into control groups, then the rest of the words."""
ENTRY = """\
#!/bin/sh
# Control groups of version 1 come read-only; with them writable, limits of units hold as on a machine of its own.
for each in /sys/fs/cgroup /sys/fs/cgroup/*/; do mount -o remount,bind,rw "$each"; done
exec /lib/systemd/systemd "$@"
"""


class Supervisor:
    """The hosts of one lab."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.lab: dict[str, Any] = json.loads((folder / "lab.json").read_text())
        self.hosts: dict[str, dict[str, Any]] = {each["name"]: each for each in self.lab["hosts"]}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.guard = threading.Lock()

    def serve(self) -> None:
        """Until told to end, or the lifeline breaks."""
        self._prepare()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.folder / "control"))
            listener.listen(16)
            if self.lab["lifeline"]:
                threading.Thread(target=self._lifeline, daemon=True).start()
            while True:
                asked, _ = listener.accept()
                threading.Thread(target=self._answer, args=(asked,), daemon=True).start()

    def _lifeline(self) -> None:
        os.read(0, 1)
        os._exit(0)

    def _prepare(self) -> None:
        for place in ("/run", "/tmp"):
            run("mount", "-t", "tmpfs", "-o", "mode=0755" if place == "/run" else "mode=1777", "lab", place)
        # Copies: a host sets modes and groups of its devices, and this machine's are not its own.
        (HERE / "dev").mkdir(parents=True)
        for device in (Path(each) for each in DEVICES if Path(each).exists()):
            os.mknod(HERE / "dev" / device.name, 0o600 | stat.S_IFCHR, device.stat().st_rdev)
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "address", "add", f"{self.lab['gateway']}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")

    def _answer(self, asked: socket.socket) -> None:
        with asked, asked.makefile("rw") as file:
            for line in file:
                request = json.loads(line)
                try:
                    answer = getattr(self, "do_" + request.pop("do"))(**request)
                    file.write(json.dumps({"ok": answer}) + "\n")
                except Exception as error:
                    file.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
                file.flush()

    # -- what can be asked

    def do_start(self, host: str) -> None:
        """Boot it; nothing where it is up."""
        with self.guard:
            if not self._up(host):
                self._boot(host)

    def _boot(self, host: str) -> None:
        top = self._mounted(host)
        groups = join_groups(self.lab["name"], host)
        log = (self.folder / f"{host}.log").open("ab")
        process = self.running[host] = subprocess.Popen(
            ["sh", "-c", ENTER, " ".join(groups), *self._nspawn(host, top)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        threading.Thread(target=self._watch, args=(host, process), daemon=True).start()

    def _watch(self, host: str, process: subprocess.Popen[bytes]) -> None:
        """A host that reboots begins again."""
        code = process.wait()
        with self.guard:
            if code == REBOOTED and self.running.get(host) is process:
                self._boot(host)

    def do_kill(self, host: str) -> None:
        """Its power fails: no process of it lives on."""
        with self.guard:
            process = self.running.pop(host, None)
            if process is not None:
                for child in children(process.pid):
                    os.kill(child, signal.SIGKILL)
                process.wait()

    def do_fresh(self, host: str) -> None:
        """Power off, and everything it wrote is gone."""
        self.do_kill(host)
        with self.guard:
            top = HERE / host
            if top.exists():
                run("umount", str(top / "root"))
                run("umount", str(top))
                top.rmdir()

    def do_wait(self, host: str, seconds: float) -> None:
        """Until its sshd answers."""
        deadline = time.monotonic() + seconds
        while not answers(self.hosts[host]["address"]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{host} does not answer after {seconds:g} s; see {self.folder}/{host}.log")
            if not self._up(host):
                raise RuntimeError(f"{host} is not up; see {self.folder}/{host}.log")
            time.sleep(0.05)

    def _up(self, host: str) -> bool:
        process = self.running.get(host)
        return process is not None and process.poll() is None

    # -- how

    def _nspawn(self, host: str, top: Path) -> list[str]:
        words = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={top}/root"]
        words += [f"--machine={host}", f"--network-bridge={BRIDGE}", "--capability=all", "--console=pipe"]
        words += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--kill-signal=SIGRTMIN+3"]
        words += [f"--bind={HERE}/dev/{Path(device).name}:{device}" for device in DEVICES if Path(device).exists()]
        return [*words, "/etc/lab-entry"]

    def _mounted(self, host: str) -> Path:
        top = HERE / host
        if top.exists():
            return top
        top.mkdir(parents=True)
        run("mount", "-t", "tmpfs", "-o", f"mode=0755,size={self.lab['disk']}", "lab", str(top))
        for part in ("upper", "work", "root"):
            (top / part).mkdir()
        layers = f"lowerdir={self.hosts[host]['base']},upperdir={top}/upper,workdir={top}/work"
        run("mount", "-t", "overlay", "-o", layers, "lab", str(top / "root"))
        self._furnish(host, top / "root")
        return top

    def _furnish(self, host: str, root: Path) -> None:
        """What makes it this host."""
        known = self.hosts[host]
        names = "".join(f"{each['address']} {name}\n" for name, each in self.hosts.items())
        with (root / "etc/systemd/network/10-lab.network").open("a") as file:
            file.write(f"Address={known['address']}/24\n")
        texts = {"hostname": host, "machine-id": known["machine_id"], "hosts": f"127.0.0.1 localhost\n{names}"}
        for name, text in texts.items():
            (root / "etc" / name).write_text(text + "\n")
        for name, mine in (("lab_keys", "user.pub"), ("lab_ca.pub", "ca.pub"), ("lab_host", f"{host}.key")):
            shutil.copy(self.folder / mine, root / "etc/ssh" / name)
        (root / "etc/ssh/lab_host").chmod(0o600)
        (root / "etc/ssh/lab_keys").chmod(0o644)
        (root / "etc/lab-entry").write_text(ENTRY)
        (root / "etc/lab-entry").chmod(0o755)


def answers(address: str) -> bool:
    """Whether an sshd says hello there."""
    try:
        with socket.create_connection((address, 22), timeout=1) as there:
            return there.recv(4) == b"SSH-"
    except OSError:
        return False


def join_groups(lab: str, host: str) -> list[str]:
    """A control group of its own in every hierarchy; the files to write a process into."""
    roots = [CGROUPS] if (CGROUPS / "cgroup.procs").exists() else [e for e in CGROUPS.iterdir() if e.is_dir()]
    found = []
    for root in (each for each in roots if not each.is_symlink()):
        here = root
        for part in ("unictl-lab", lab, host):
            above, here = here, here / part
            here.mkdir(exist_ok=True)
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if (above / setting).exists():
                    (here / setting).write_text((above / setting).read_text())
        found.append(str(here / "cgroup.procs"))
    return found


def children(pid: int) -> list[int]:
    """The child processes of one."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def run(*words: str) -> None:
    """A command that must succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")


if __name__ == "__main__":
    here = Path(sys.argv[1])
    with (here / "alive").open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        Supervisor(here).serve()
