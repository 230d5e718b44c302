"""The accelerator and CPU model of guests on this host, found by running a probe guest once per boot.

That /dev/kvm can be opened proves nothing: some hosts interpret a guest a hundred times slower than QEMU's
translator, others stop at an SSE instruction and leave QEMU paused forever. So a probe guest runs under each
candidate, and the fastest one that finishes is chosen. This module caches the answer; ``accelerator_trials`` finds
it.
"""

from __future__ import annotations

import errno
import os
import threading
import time

from ... import errors
from ...platform import privileges
from ...protocol import frames
from ...storage import atomic, guarded_read, identifiers, layout, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FALLBACK = ("tcg", "max")
"""What is taken, and not remembered for long, where no candidate got to its end: a host may be overloaded."""
DOUBT_SECONDS = 60.0
REVISION = 1
"""Rises when the probe or the way it is judged changes: an older answer is then not believed."""
_TRIAL_LOCK = threading.Lock()


def choose(root: layout.StoreLayout, qemu: str) -> dict[str, Any] | None:
    """{accel, cpu, loops_per_second, tried} for this boot and this QEMU; None where there is no QEMU.

    Within a unit the store may be read, and an answer in doubt is taken there: nobody could remember a better one, and
    a trial would count against the memory of the guest.
    """
    key = _cache_key(root, qemu)
    if key is None:
        return None
    path = f"{root.path}/accelerator-{identifiers.boot_id()}.json"
    if os.access(root.path, os.W_OK):
        answer = _cached_answer(path, key)
    else:
        answer = _cached_answer(path, key, accept_doubtful=True) or _provisional_choice(path)
    if answer is None:
        with _TRIAL_LOCK:
            lock = _lock_trials(path)
            try:
                answer = _cached_answer(path, key) or _run_trials(root, path, key, qemu)
            finally:
                if lock is not None:
                    os.close(lock)
    return answer


def _provisional_choice(path: str) -> dict[str, Any] | None:
    """For a start that sees the store read-only, as units do, and finds another host than its supervisor did: KVM is
    gone, or there is another QEMU. The next survey looks anew; until then what works without KVM is taken. None
    where nothing was found so far."""
    try:
        document = guarded_read.read_object(path)
        if document is None:
            return None
        results = document["answer"]["tried"]
        without_kvm = [result for result in results if result["works"] and result["accel"] != "kvm"]
        best = max(without_kvm, key=lambda result: float(result["loops_per_second"]), default=None)
    except (errors.HostError, OSError, KeyError, TypeError, ValueError):
        best = None
    accel, cpu = (best["accel"], best["cpu"]) if best else FALLBACK
    return {"accel": accel, "cpu": cpu, "loops_per_second": best["loops_per_second"] if best else 0, "tried": []}


def _lock_trials(path: str) -> int | None:
    """Nobody else on this host tries at the same time; None where no lock can be written: full, or only to be read."""
    try:
        return locks.take(os.path.dirname(path) + "/probe.lock", wait=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            return None
        raise


def _cache_key(root: layout.StoreLayout, qemu: str) -> list[Any] | None:
    """What the answer holds for. Who guests run as is part of it: /dev/kvm may be closed to them."""
    try:
        qemu_stat = os.stat(qemu)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [
        REVISION,
        qemu,
        qemu_stat.st_mtime_ns,
        qemu_stat.st_size,
        os.path.exists("/dev/kvm"),
        privileges.unavailable_reason(root),
    ]


def _cached_answer(path: str, key: list[Any], accept_doubtful: bool = False) -> dict[str, Any] | None:
    """The answer of before; ``accept_doubtful``: also one that is in doubt, however old."""
    document = guarded_read.read_or_note(None, guarded_read.read_object, path) or {}
    answer: Any = document.get("answer")
    if document.get("key") != key or not _is_well_formed(answer) or not isinstance(document.get("at"), (int, float)):
        return None
    if document.get("doubtful") and not accept_doubtful and not 0 <= time.time() - document["at"] < DOUBT_SECONDS:
        return None
    choice: dict[str, Any] = answer
    return choice


def _is_well_formed(answer: Any) -> bool:
    has_names = isinstance(answer, dict) and guarded_read.is_str_list([answer.get("accel"), answer.get("cpu")])
    return has_names and isinstance(answer.get("loops_per_second"), (int, float))


def _run_trials(root: layout.StoreLayout, path: str, key: list[Any], qemu: str) -> dict[str, Any]:
    from . import accelerator_trials

    results = accelerator_trials.AcceleratorTrials(root, qemu).run()
    best = max(
        (result for result in results if result["works"]),
        key=lambda result: float(result["loops_per_second"]),
        default=None,
    )
    accel, cpu = (best["accel"], best["cpu"]) if best else FALLBACK
    speed = best["loops_per_second"] if best else 0
    answer = {"accel": accel, "cpu": cpu, "loops_per_second": speed, "tried": results}
    document = {"key": key, "answer": answer, "doubtful": best is None, "at": time.time()}
    if os.access(root.path, os.W_OK):
        _remove_other_boots(root, path)
        atomic.write_cache(path, frames.encode_json(document))
    return answer


def _remove_other_boots(root: layout.StoreLayout, path: str) -> None:
    for name in guarded_read.list_names(root.path):
        other_path = f"{root.path}/{name}"
        if name.startswith("accelerator-") and other_path != path and guarded_read.file_kind(other_path) == "a file":
            atomic.remove_file(f"{root.path}/{name}")
