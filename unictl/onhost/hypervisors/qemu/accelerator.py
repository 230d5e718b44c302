"""The accelerator and CPU model of guests on this host, found by running a probe guest once per boot.

That /dev/kvm can be opened proves nothing: some hosts interpret a guest a hundred times slower than QEMU's
translator,
others stop at an SSE instruction and leave QEMU paused forever. So a probe guest runs under each candidate, and the
fastest
one that finishes is chosen. This module caches the answer; ``accelerator_trials`` finds it.
"""

from __future__ import annotations

import errno
import os
import threading
import time

from ...platform import privileges
from ...protocol import frames
from ...storage import guarded_read, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FALLBACK = ("tcg", "max")
"""What is taken, and not remembered for long, where no candidate got to its end: a host may be overloaded."""
DOUBT = 60.0
REVISION = 1
"""Rises when the probe or the way it is judged changes: an older answer is then not believed."""
_ONE_AT_A_TIME = threading.Lock()


def choose(root: layout.Root, qemu: str) -> dict[str, Any] | None:
    """{accel, cpu, loops_per_second, tried} for this boot and this QEMU; None where there is no QEMU.

    Within a unit the store may be read, and an answer in doubt is taken there: nobody could remember a better one, and
    a trial would count against the memory of the guest.
    """
    key = _key(root, qemu)
    if key is None:
        return None
    path = f"{root.path}/accelerator-{layout.boot_id()}.json"
    if os.access(root.path, os.W_OK):
        known = _remembered(path, key)
    else:
        known = _remembered(path, key, doubtful=True) or _meanwhile(path)
    if known is None:
        with _ONE_AT_A_TIME:
            lock = _alone(path)
            try:
                known = _remembered(path, key) or _find(root, path, key, qemu)
            finally:
                if lock is not None:
                    os.close(lock)
    return known


def _meanwhile(path: str) -> dict[str, Any] | None:
    """For a start that sees the store read-only, as units do, and finds another host than its keeper did: KVM is gone,
    or there is another QEMU. The next survey looks anew; until then what works without KVM is taken. None where nothing
    was found so far."""
    try:
        told = guarded_read.read_object(path)
        if told is None:
            return None
        tried = told["answer"]["tried"]
        plain = [row for row in tried if row["works"] and row["accel"] != "kvm"]
        best = max(plain, key=lambda row: float(row["loops_per_second"]), default=None)
    except (frames.Problem, OSError, KeyError, TypeError, ValueError):
        best = None
    accel, cpu = (best["accel"], best["cpu"]) if best else FALLBACK
    return {"accel": accel, "cpu": cpu, "loops_per_second": best["loops_per_second"] if best else 0, "tried": []}


def _alone(path: str) -> int | None:
    """Nobody else on this host tries at the same time; None where no lock can be written: full, or only to be read."""
    try:
        return locks.take(os.path.dirname(path) + "/probe.lock", wait=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            return None
        raise


def _key(root: layout.Root, qemu: str) -> list[Any] | None:
    """What the answer holds for. Who guests run as is part of it: /dev/kvm may be closed to them."""
    try:
        there = os.stat(qemu)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [REVISION, qemu, there.st_mtime_ns, there.st_size, os.path.exists("/dev/kvm"), privileges.why_not(root)]


def _remembered(path: str, key: list[Any], doubtful: bool = False) -> dict[str, Any] | None:
    """The answer of before; ``doubtful``: also one that is in doubt, however old."""
    told = guarded_read.noted(None, guarded_read.read_object, path) or {}
    answer: Any = told.get("answer")
    if told.get("key") != key or not _sound(answer) or not isinstance(told.get("at"), (int, float)):
        return None
    if told.get("doubtful") and not doubtful and not 0 <= time.time() - told["at"] < DOUBT:
        return None
    found: dict[str, Any] = answer
    return found


def _sound(answer: Any) -> bool:
    told = isinstance(answer, dict) and guarded_read.texts([answer.get("accel"), answer.get("cpu")])
    return told and isinstance(answer.get("loops_per_second"), (int, float))


def _find(root: layout.Root, path: str, key: list[Any], qemu: str) -> dict[str, Any]:
    from . import accelerator_trials

    tried = accelerator_trials.Trials(root, qemu).run()
    best = max((row for row in tried if row["works"]), key=lambda row: float(row["loops_per_second"]), default=None)
    accel, cpu = (best["accel"], best["cpu"]) if best else FALLBACK
    speed = best["loops_per_second"] if best else 0
    answer = {"accel": accel, "cpu": cpu, "loops_per_second": speed, "tried": tried}
    told = {"key": key, "answer": answer, "doubtful": best is None, "at": time.time()}
    if os.access(root.path, os.W_OK):
        _forget_other_boots(root, path)
        layout.write_cache(path, frames.encode(told))
    return answer


def _forget_other_boots(root: layout.Root, path: str) -> None:
    for name in layout.names(root.path):
        there = f"{root.path}/{name}"
        if name.startswith("accelerator-") and there != path and guarded_read.kind(there) == "a file":
            layout.remove_file(f"{root.path}/{name}")
