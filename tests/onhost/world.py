"""A host's store in a temporary root, its handlers called in this process, and its processes ended afterwards.

Nothing is replaced: the supervisor is forked for real, and a sleeping stand-in takes the hypervisor's place.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unictl.onhost import dispatcher, errors
from unictl.onhost.instances import instance_state, run_log
from unictl.onhost.lease import fleet_lease
from unictl.onhost.platform import processes
from unictl.onhost.protocol import chunks, messages
from unictl.onhost.storage import fenced_store, fleet_names, guarded_read, identifiers, layout, locks

OWNER = "shop-5f0c2a"
SLEEP = ("/bin/sleep", "1000")


class Connection:
    """What a lease is kept on."""

    def __init__(self) -> None:
        self.lease: fleet_lease.Lease | None = None


class Call:
    """A handler's call without a wire: events are kept, uploads come from ``data``."""

    def __init__(self, connection: Connection | None = None, data: bytes = b"", stop_after: int = -1):
        self.connection = connection or Connection()
        self.cancelled = threading.Event()
        self.events: list[dict[str, Any]] = []
        self.data = data
        self.pulled: list[tuple[int, int]] = []
        self.stop_after = stop_after

    @property
    def lease(self) -> fleet_lease.Lease | None:
        return self.connection.lease

    def send_event(self, document: dict[str, Any]) -> None:
        self.events.append(document)

    def pull(self, ranges: list[tuple[int, int]]) -> Iterator[bytes]:
        self.pulled += ranges
        for offset, length in ranges:
            for at in range(offset, offset + length, 65536):
                if 0 <= self.stop_after <= at:
                    raise errors.HostError("cancelled", "cut")
                yield self.data[at : min(at + 65536, offset + length)]

    def pull_index(self) -> bytes:
        return chunks.encode_index(lambda at, length: self.data[at : at + length])


class World:
    """One host. ``do`` runs a request as the connection ``self.call``'s."""

    def __init__(self, path: str):
        self.root = layout.StoreLayout(path)
        self.root.prepare()
        self.connection = Connection()

    def do(self, name: str, data: bytes = b"", /, **ask: Any) -> dict[str, Any]:
        call = Call(self.connection, data)
        asked = fleet_names.resolve_request(self.root, {"owner": OWNER, **ask})
        return dispatcher.call_handler(messages.MESSAGES[name], self.root, asked, call)  # type: ignore[arg-type]

    def acquire(self, **ask: Any) -> int:
        asked = {"mark": "shop", "id": "5f0c2a", "holder": {"user": "test"}, "wait": 5, **ask}
        return int(self.do("lease", **asked)["token"])

    @property
    def writable(self) -> fenced_store.FencedStore:
        """The store as the holder of the lease may change it."""
        assert self.connection.lease is not None
        return self.connection.lease.root

    def release(self) -> None:
        self.do("release")

    def launch(self, *documents: dict[str, Any], **secrets: str) -> list[dict[str, Any]]:
        outcomes: list[dict[str, Any]] = self.do("launch", instances=list(documents), secrets=secrets)["outcomes"]
        return outcomes

    def retire(self, key: str, grace: int = 2000, keep: int = 5) -> bool:
        return bool(self.do("retire", key=key, grace=grace, keep=keep)["there"])

    def stage(self, data: bytes) -> str:
        sha = hashlib.sha256(data).hexdigest()
        self.do("stage", data, digest=sha, size=len(data))
        return sha

    def survey(self, **full: str) -> dict[str, Any]:
        return self.do("survey", mark="shop", full=full)

    def row(self, key: str) -> dict[str, Any]:
        return next(row for row in self.survey()["instances"] if f"{row['name']}.{row['generation']}" == key)

    def states(self) -> dict[str, str]:
        return {f"{row['name']}.{row['generation']}": row["state"] for row in self.survey()["instances"]}

    def until(self, key: str, state: str, seconds: float = 60.0, starts: int = 0, **end: Any) -> dict[str, Any]:
        """Wait for a state (and end facts), after so many starts at least; the row."""
        deadline = time.monotonic() + seconds
        while True:
            row = self.row(key)
            told = row["end"] or {}
            if (
                row["state"] == state
                and row.get("starts", 0) >= starts
                and all(told.get(name) == value for name, value in end.items())
            ):
                return row
            assert time.monotonic() < deadline, row
            time.sleep(0.01)

    def pid(self, key: str) -> int:
        return int((run_log.last_entry(self.root.instance(OWNER, key)) or {})["pid"])

    def alive(self, key: str) -> bool:
        return locks.is_locked(self.root.run(identifiers.run_dir_name(OWNER, key)) + "/alive")

    def supervisor(self, owner: str = OWNER) -> int:
        """The pid of the fleet's supervisor, 0 where none lives."""
        folder = instance_state.supervisor_dir(self.root, owner)
        if not locks.is_locked(folder + "/lock"):
            return 0
        deadline = time.monotonic() + 60
        # One that has just begun has not written its pid yet: that of the one before it may stand there.
        while not Path(f"/proc/{(told := _pid(folder))}").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        return told

    def kill_supervisor(self) -> None:
        pid = self.supervisor()
        os.kill(pid, signal.SIGKILL)
        while instance_state.supervisor_alive(self.root, OWNER):
            time.sleep(0.002)

    def fault(self) -> str:
        """The traceback of a fault in the supervisor, if there was one."""
        return (
            guarded_read.read_bytes(instance_state.supervisor_dir(self.root, OWNER) + "/last-fault") or b""
        ).decode()

    def close(self) -> None:
        """End every process of this root, by pid and start time, and remove the root."""
        if self.connection.lease is not None:
            self.connection.lease.close()
        for owner in self.root.owners():
            pid = self.supervisor(owner)
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for key in guarded_read.list_names(self.root.instances(owner)):
                if not os.path.isdir(self.root.instance(owner, key)):
                    continue
                for entry in run_log.read_entries(self.root.instance(owner, key)):
                    if entry["event"] == "started":
                        processes.send_signal(entry["pid"], entry["ticks"], signal.SIGKILL)
        shutil.rmtree(self.root.path, ignore_errors=True)


def _pid(folder: str) -> int:
    return int(guarded_read.read_bytes(folder + "/lock") or 0)


def document(
    name: str = "web-0", argv: tuple[str, ...] = SLEEP, *, generation: str = "0123abcd", **kw: Any
) -> dict[str, Any]:
    """A launch document. Keys of ``run`` and of the document may be given by name."""
    run: dict[str, Any] = {
        "hypervisor": "qemu",
        "argv": list(argv),
        "config": "",
        "exits": [],
        "images": [],
        "volumes": [],
        "forwards": [],
        "secrets": [],
        "refused": '"',
        "longest": 1023,
        "memory": 0,
        "overhead": 0,
        "cpus": 1,
    }
    run.update({key: kw.pop(key) for key in list(kw) if key in run})
    service, _, ordinal = name.rpartition("-")
    return {
        "name": name,
        "generation": generation,
        "service": service,
        "ordinal": int(ordinal),
        "launch": 1,
        "fingerprint": "1:" + name,
        "spec": {"image": name},
        "resolved": {},
        "commit": "c0ffee",
        "protect": False,
        "restart": "never",
        "run": run,
        **kw,
    }


def short_folder() -> str:
    """A folder whose path is short enough for sockets in it, in memory where there is such a place."""
    path = tempfile.mkdtemp(prefix="u-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    # As the host side makes its own: hypervisors run as other users.
    Path(path).chmod(0o711)
    return path


def size(path: str | os.PathLike[str]) -> int:
    """Bytes of a file that may be gone by now, or be another one."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
