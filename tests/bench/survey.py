"""Surveys over ssh, side by side in one run: ``python -m tests.bench.survey [HOSTS ...]``. Prints; asserts nothing.

On the same lab hosts at the same parallelism: one survey of each against ``ssh HOST true``, and against ``ssh HOST
python3 -c pass``, which is the least that anything without an agent can take over OpenSSH; and whole commands, from the
shell to their exit, every connection made anew: a plan without changes against ``ansible -m ping`` and a pyinfra
deploy that finds nothing to do (from the package index, in an environment of their own in the lab's cache). They take
turns, so that what else the machine does befalls all alike; a bound on the time for each number of hosts ends them.
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.lab import recipe
from tests.lab.lab import Lab
from tests.operations.fleets import UNICTL
from unictl.execution.surveys import MAX_CONNECTIONS, Connections, survey_all
from unictl.fleet.model import ConnectionAddress, Host
from unictl.hosts.connector import connect_host
from unictl.instances.observed.host_state import Survey

RUNS = 5
BOUND = 120.0
"""Seconds of turns for one number of hosts; at least two turns are made."""
FLEET = "fleet: {name: bench, id: be0c40}\nhosts:\n"


def line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def turns(acts: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """By name: seconds of the middle one of a few runs, after one that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in acts}
    end = time.monotonic() + BOUND
    for turn in range(1 + RUNS):
        if turn > 2 and time.monotonic() > end:
            break
        for name, act in acts.items():
            began = time.monotonic()
            act()
            if turn:
                taken[name].append(time.monotonic() - began)
    return {name: statistics.median(each) for name, each in taken.items()}


def run(words: list[str], env: Mapping[str, str]) -> None:
    subprocess.run(words, env=env, check=True, capture_output=True, timeout=300)


def bare(lab: Lab, command: str) -> None:
    """``ssh HOST COMMAND`` on every host."""
    with ThreadPoolExecutor(MAX_CONNECTIONS) as pool:
        list(pool.map(lambda host: run(["ssh", f"root@{host.name}", command], lab.env), lab))


def surveys(lab: Lab) -> int:
    """One survey of every host; the most round trips that one took."""
    hosts = {h.name: Host(name=h.name, connect=ConnectionAddress(kind="ssh", host=h.name, user="root")) for h in lab}

    async def act() -> Connections:
        found = await survey_all(
            hosts, lambda each: connect_host(each, env=lab.env), owner="bench-be0c40", mark="bench", fingerprints={}
        )
        await found.close()
        return found

    world = asyncio.run(act()).live_state
    return max(said.round_trips for said in world.values() if isinstance(said, Survey))


def tools() -> Path:
    """The programs that are compared with, installed once."""
    there = recipe.cache() / "bench"
    if not (there / "bin" / "pyinfra").exists():
        subprocess.run([sys.executable, "-m", "venv", str(there)], check=True)
        subprocess.run([there / "bin" / "pip", "install", "-q", "ansible-core", "pyinfra"], check=True)
    return there / "bin"


def compared(lab: Lab, folder: Path) -> dict[str, Callable[[], None]]:
    """By name: a plan without changes, and what others do to see that all hosts are there and nothing is to be done."""
    rows = "".join(f'  {h.name}: {{connect: "ssh://root@{h.name}", address: {h.address}}}\n' for h in lab)
    (folder / "fleet.yaml").write_text(FLEET + rows)
    return {
        "unictl plan": lambda: run([*UNICTL, "plan", str(folder)], lab.env),
        "ansible -m ping": ansible(lab, folder),
        "pyinfra": pyinfra(lab, folder),
    }


def ansible(lab: Lab, folder: Path) -> Callable[[], None]:
    """Its own control masters serve it while it runs, as always; none is left for its next run."""
    hosts, programs, masters = folder / "hosts", tools(), folder / "cp"
    hosts.write_text("".join(f"{host.name} ansible_user=root\n" for host in lab))
    env = {**lab.env, "HOME": str(folder), "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3"}
    env["ANSIBLE_SSH_CONTROL_PATH_DIR"] = str(masters)
    env["ANSIBLE_SSH_ARGS"] = "-C -o ControlMaster=auto -o ControlPersist=10"
    ping = [str(programs / "ansible"), "-i", str(hosts), "-f", str(len(lab.hosts)), "-m", "ping", "all"]

    def act() -> None:
        # Their sockets, and with them the way to the masters of the run before.
        shutil.rmtree(masters, ignore_errors=True)
        run(ping, env)

    return act


def pyinfra(lab: Lab, folder: Path) -> Callable[[], None]:
    """Its ssh client is its own, so it runs on the lab's network and is told key and known hosts."""
    inventory, deploy = folder / "inventory.py", folder / "deploy.py"
    told = {"ssh_user": "root", "ssh_key": f"{lab.folder}/user", "ssh_known_hosts_file": f"{lab.folder}/known_hosts"}
    inventory.write_text(f"hosts = {[(h.address, told) for h in lab]!r}\n")
    deploy.write_text('from pyinfra.operations import files\n\nfiles.directory(path="/var/lib", present=True)\n')
    words = [*lab.inside, str(tools() / "pyinfra"), "-y", str(inventory), str(deploy)]
    return lambda: run(words, {**lab.env, "HOME": str(folder)})


def main(counts: list[int]) -> None:
    """One lab for each number of hosts."""
    for count in counts:
        lab = Lab.up(count)
        try:
            with tempfile.TemporaryDirectory(dir=recipe.cache()) as folder:
                trips = surveys(lab)
                line(f"{count} hosts, {trips} round trip{'s' if trips > 1 else ''} each:")
                acts: dict[str, Callable[[], object]] = {
                    "ssh true": partial(bare, lab, "true"),
                    "ssh python3": partial(bare, lab, "python3 -c pass"),
                    "survey": partial(surveys, lab),
                }
                _tell(turns({**acts, **compared(lab, Path(folder))}))
        finally:
            lab.down()


def _tell(taken: Mapping[str, float]) -> None:
    ssh, least, plan = taken["ssh true"], taken["ssh python3"], taken["unictl plan"]
    line(
        f"  ssh true {ssh:.2f} s, survey {taken['survey']:.2f} s: {taken['survey'] / ssh:.2f} times (goal: at most 1.3)"
    )
    line(f"  unictl plan {plan:.2f} s; ssh python3 -c pass {least:.2f} s, {100 * min(1, least / plan):.0f} % of it")
    for name in ("ansible -m ping", "pyinfra"):
        times, most = taken[name] / plan, taken[name] / least
        line(f"  {name} {taken[name]:.2f} s: {times:.1f} times as long (goal: 5; most over OpenSSH: {most:.1f})")


if __name__ == "__main__":
    for name in ("CI", "PYTHONDONTWRITEBYTECODE"):
        # An installed unictl has its modules compiled, as the others have.
        os.environ.pop(name, None)
    main([int(word) for word in sys.argv[1:]] or [1, 3, 10, 20])
