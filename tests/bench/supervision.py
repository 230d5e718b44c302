"""Starting instances by their units against a supervisor's starting them, on one lab host, in turns: ``python -m
tests.bench.supervision [NUMBER]``. Prints; asserts nothing.

Besides the time of the whole apply, the processor time that the host spent: that does not depend on who else is there.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.survey import line
from tests.lab import recipe, supervisor
from tests.lab.fleets import LabFleet
from tests.lab.lab import Lab, LabHost

TURNS = 3
BOOTED = "/run/systemd/system"
FLEET = """\
fleet: {{name: lab, id: 1ab3e7}}
hosts:
  hv1: {{connect: "ssh://root@hv1", address: 10.77.0.11}}
images:
  hello: {{guest: plain, kernel: hello.elf}}
services:
  web:
    image: hello
    memory: 16MiB
    replicas: {number}
    ports: {{http: 8080}}
    health: {{http: /healthz, port: http, interval: 100ms, min_healthy_time: 100ms}}
    update: {{max_parallel: {number}}}
    placement: {{cpu_ratio: 100}}
"""


def spent(host: LabHost) -> float:
    """Seconds of processor time that everything on a host took so far."""
    for usage in supervisor.CGROUPS.glob(f"cpuacct/unictl-lab/{host.lab.name}/{host.name}*/cpuacct.usage"):
        return int(usage.read_text()) / 1e9
    for stat in supervisor.CGROUPS.glob(f"unictl-lab/{host.lab.name}/{host.name}*/cpu.stat"):
        return int(stat.read_text().split()[1]) / 1e6
    return 0.0


def applied(fleet: LabFleet, host: LabHost) -> tuple[float, float]:
    """(seconds, seconds of processor time) of an apply of all of it; taken down afterwards."""
    began, before = time.monotonic(), spent(host)
    told = fleet.apply()
    took = time.monotonic() - began, spent(host) - before
    assert told.code == 0, told.out
    assert fleet.run("destroy", "-auto-approve").code == 0
    return took


def main(number: int) -> None:
    lab = Lab.up(1)
    try:
        with tempfile.TemporaryDirectory(dir=recipe.cache()) as folder:
            fleet, host = LabFleet(lab, Path(folder) / "fleet"), lab["hv1"]
            (fleet.folder / "fleet.lock").unlink()
            (fleet.folder / "fleet.yaml").write_text(FLEET.format(number=number))
            applied(fleet, host)
            taken: dict[str, list[tuple[float, float]]] = {"units": [], "detached": []}
            for _ in range(TURNS):
                taken["units"].append(applied(fleet, host))
                host.enter(f"mv {BOOTED} {BOOTED}.hidden")
                taken["detached"].append(applied(fleet, host))
                host.enter(f"mv {BOOTED}.hidden {BOOTED}")
            for n, what in enumerate(("apply", "processor time on the host")):
                units, detached = (statistics.median(each[n] for each in taken[name]) for name in taken)
                line(
                    f"{number} instances, {what}: units {units:.2f} s, detached {detached:.2f} s",
                )
                if detached:
                    line(f"    units / detached: {units / detached:.2f}")
    finally:
        lab.down()


if __name__ == "__main__":
    os.environ.pop("CI", None)
    main(int(sys.argv[1]) if sys.argv[1:] else 20)
