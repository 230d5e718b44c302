"""An apply that dies at its k-th event: run as ``python -m tests.operations.planning.killed_apply FOLDER K VICTIM``.

VICTIM is ``control`` (this process) or ``host`` (the host side's process, this one's child). Prints how many events
there were where it lived through all of them.
"""

import os
import signal
import sys
from pathlib import Path

from unictl.journal.event import Event
from unictl.operations.planning.apply import apply_plan
from unictl.operations.planning.plans import make_plan
from unictl.operations.request import ApplyOptions, FleetRequest
from unictl.plan.model.options import PlanOptions


class Never:
    """Nobody interrupts."""

    count = 0


def children() -> list[int]:
    """This process's children that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(words[1]) == os.getpid() and words[0] != "Z":
                found.append(int(entry.name))
    return found


def main(folder: str, last: int, victim: str) -> None:
    """Apply, and die."""
    request = FleetRequest(path=Path(folder))
    made = make_plan(request, PlanOptions())
    seen = 0

    def on_event(_event: Event) -> None:
        nonlocal seen
        seen += 1
        if seen == last:
            for pid in [os.getpid()] if victim == "control" else children():
                os.kill(pid, signal.SIGKILL)

    apply_plan(made, ApplyOptions(lock_timeout=30, holder="test"), on_event, Never())
    sys.stdout.write(f"{seen}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
