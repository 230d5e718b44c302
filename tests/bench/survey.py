"""Surveys over ssh, side by side in one run: ``python -m tests.bench.survey [HOSTS ...]``. Prints; asserts nothing.

On the same lab hosts at the same parallelism: one survey of each against ``ssh HOST true``, and a plan without changes
against ``ansible -m ping`` and ``pyinfra`` (from the package index, in an environment of their own in the lab's cache).
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab import recipe
from tests.lab.lab import Lab
from tests.operations.fleets import UNICTL
from unictl.execution.surveys import AT_ONCE, Reached, survey_all
from unictl.fleet.model import Connect, Host
from unictl.hosts.connect import connect
from unictl.instances.live import Survey

RUNS = 5
FLEET = "fleet: {name: bench, id: be0c40}\nhosts:\n"


def line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def median(act: Callable[[], object]) -> float:
    """Seconds of the middle one of a few runs, after one that is not counted."""
    act()
    taken = []
    for _ in range(RUNS):
        began = time.monotonic()
        act()
        taken.append(time.monotonic() - began)
    return statistics.median(taken)


def run(words: list[str], env: Mapping[str, str]) -> None:
    subprocess.run(words, env=env, check=True, capture_output=True, timeout=300)


def bare(lab: Lab) -> None:
    """``ssh HOST true`` on every host."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda host: run(["ssh", f"root@{host.name}", "true"], lab.env), lab))


def surveys(lab: Lab) -> int:
    """One survey of every host; the most round trips that one took."""
    hosts = {h.name: Host(name=h.name, connect=Connect(kind="ssh", host=h.name, user="root")) for h in lab}

    async def act() -> Reached:
        found = await survey_all(
            hosts, lambda each: connect(each, env=lab.env), owner="bench-be0c40", mark="bench", full={}
        )
        await found.close()
        return found

    world = asyncio.run(act()).world
    return max(said.round_trips for said in world.values() if isinstance(said, Survey))


def tools() -> Path:
    """The programs that are compared with, installed once."""
    there = recipe.cache() / "bench"
    if not (there / "bin" / "pyinfra").exists():
        subprocess.run([sys.executable, "-m", "venv", str(there)], check=True)
        subprocess.run([there / "bin" / "pip", "install", "-q", "ansible-core", "pyinfra"], check=True)
    return there / "bin"


def compared(lab: Lab, folder: Path) -> dict[str, Callable[[], None]]:
    """By name: a plan without changes, and what others do to see whether all hosts are there."""
    names = [host.name for host in lab]
    rows = "".join(f'  {h.name}: {{connect: "ssh://root@{h.name}", address: {h.address}}}\n' for h in lab)
    (folder / "fleet.yaml").write_text(FLEET + rows)
    (folder / "hosts").write_text("".join(f"{name} ansible_user=root\n" for name in names))
    programs, env = tools(), {**lab.env, "HOME": str(folder), "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3"}
    # pyinfra has an ssh client of its own, so it runs on the lab's network and is told key and known hosts.
    given = f"ssh_user=root,ssh_key={lab.folder}/user,ssh_known_hosts_file={lab.folder}/known_hosts"
    inventory = folder / "inventory.py"
    pairs = dict(each.split("=") for each in given.split(","))
    inventory.write_text(f"hosts = {[(h.address, pairs) for h in lab]!r}\n")
    ping = [str(programs / "ansible"), "-i", str(folder / "hosts"), "-f", str(len(names)), "-m", "ping", "all"]
    infra = [*lab.inside, str(programs / "pyinfra"), "-y", str(inventory), "exec", "--", "true"]
    return {
        "unictl plan": lambda: run([*UNICTL, "plan", str(folder)], lab.env),
        "ansible -m ping": lambda: run(ping, env),
        "pyinfra": lambda: run(infra, env),
    }


def main(counts: list[int]) -> None:
    """One lab for each number of hosts."""
    for count in counts:
        lab = Lab.up(count)
        try:
            with tempfile.TemporaryDirectory(dir=recipe.cache()) as folder:
                trips = surveys(lab)
                ssh, survey = median(lambda lab=lab: bare(lab)), median(lambda lab=lab: surveys(lab))
                line(
                    f"{count} hosts: ssh true {ssh:.2f} s, survey {survey:.2f} s: {survey / ssh:.2f} times; "
                    f"round trips: {trips}"
                )
                taken = {name: median(act) for name, act in compared(lab, Path(folder)).items()}
                own = taken.pop("unictl plan")
                told = ", ".join(f"{name} {each:.2f} s ({each / own:.1f} times)" for name, each in taken.items())
                line(f"{count} hosts: unictl plan {own:.2f} s; {told}")
        finally:
            lab.down()


if __name__ == "__main__":
    os.environ.pop("CI", None)
    main([int(word) for word in sys.argv[1:]] or [1, 3, 10, 20])
