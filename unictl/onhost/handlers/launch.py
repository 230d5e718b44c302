"""Handles ``launch``: writes the records of a batch aside, checks their claims, renames them in, and starts the
instances.

An instance that is running already is adopted; one that was recorded but never started, or was lost in a reboot,
continues
from there.
"""

from __future__ import annotations

import os
import threading
import time

from ..images import integrity
from ..instances import claims, conflicts, instance_state, launch_tokens, record_file
from ..lease import fleet_lease
from ..platform import privileges, programs, sockets
from ..protocol import frames
from ..storage import guarded_read, layout, locks
from ..supervision import supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..storage.fenced_store import Writable

WRITERS = 8
"""Threads that sync a few records: the file system commits what arrives together at once."""
MANY = 16
"""Records from which on one sync of the whole file system is cheaper."""


def launch(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Start the instances of a list; one outcome each: {key, ok, adopted, problem?}."""
    owner, secrets = ask["owner"], ask.get("secrets") or {}
    root = fleet_lease.require(ask, call).root
    batch = Batch(root, owner, secrets)
    for document in ask["instances"]:
        batch.sort(document)
    # The keeper takes some ten ms to begin, and the disk as long to write: both at once.
    waking = threading.Thread(target=supervisor.wake, args=(root, owner))
    waking.start()
    try:
        batch.write()
        batch.enter()
    finally:
        waking.join()
    batch.start()
    return {"outcomes": batch.outcomes()}


def mark(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Change what may change of a record: protection, the last commit that touched it, whether it passed its gate
    and by which kinds of check."""
    root = fleet_lease.require(ask, call).root
    folder = root.instance(ask["owner"], ask["key"])
    if not os.path.isdir(folder):
        raise frames.Problem("not-found", f"{ask['key']} is not on this host", "plan again")
    marks = {name: ask[name] for name in ("protect", "commit", "proven", "checks") if name in ask}
    old = guarded_read.read_object(folder + "/marks.json") or {}
    if any(old.get(name) != value for name, value in marks.items()):
        root.write_atomic(folder + "/marks.json", frames.encode(dict(old, **marks)))
    return {}


def key_of(document: dict[str, Any]) -> str:
    """``api-2.7f3c9a1b``."""
    return layout.part(f"{document['name']}.{document['generation']}")


class Batch:
    """One launch message on its way. A problem ends the way of its instance only."""

    def __init__(self, root: Writable, owner: str, secrets: dict[str, str]):
        self.root = root
        self.owner = owner
        self.secrets = secrets
        self.order: list[str] = []
        self.documents: dict[str, dict[str, Any]] = {}
        self.fresh: list[str] = []
        self.ready: list[str] = []
        self.adopted: set[str] = set()
        self.problems: dict[str, frames.Problem] = {}

    def _try(self, key: str, act: Callable[[], None]) -> bool:
        try:
            act()
        except frames.Problem as problem:
            self.problems[key] = problem
        except OSError as error:
            self.problems[key] = layout.problem(error)
        return key not in self.problems

    def sort(self, document: dict[str, Any]) -> None:
        """Runs already, recorded already, or new."""
        key = key_of(document)
        self.order.append(key)
        self.documents[key] = document
        self._try(key, lambda: self._sort(key, document))

    def _sort(self, key: str, document: dict[str, Any]) -> None:
        folder = self.root.instance(self.owner, key)
        record = record_file.read(folder)
        self._check_files(key, document["run"])
        if record is None:
            self.fresh.append(key)
            return
        if (record.get("fingerprint"), record.get("launch")) != (document["fingerprint"], document["launch"]):
            raise frames.Problem(
                "damaged", f"the record of {key} is that of another instance", "plan again", path=folder
            )
        if instance_state.state(self.root, self.owner, key, True)["state"] == "running":
            self.adopted.add(key)
        elif set(document["run"].get("secrets", ())) <= set(self.secrets):
            self._boot_file(folder, key, document["run"])
        self.ready.append(key)

    def _check_files(self, key: str, run: dict[str, Any]) -> None:
        for sha in run.get("images", ()):
            if integrity.intact(self.root, layout.digest(sha)):
                continue
            if os.path.exists(f"{self.root.images}/{sha}"):
                raise frames.Problem("damaged", f"{key}: {integrity.sentence(sha)}", "apply again: it is brought anew")
            raise frames.Problem("no-image", f"{key} needs image {sha[:12]}, which is not on this host", "plan again")
        for name in run.get("volumes", ()):
            if not os.path.isdir(self.root.volume(self.owner, name)):
                raise frames.Problem("not-found", f"{key} needs volume {name}, which is not on this host", "plan again")

    def write(self) -> None:
        """Records and boot files aside, all of them, then made durable together."""
        written = [key for key in self.fresh if self._try(key, lambda key=key: self._write(key))]  # type: ignore[misc]
        if len(written) < MANY or not sync_all(self.root.path):
            together(lambda key: self._try(key, lambda: self._sync(key)), written)
        for key in set(self.fresh) & set(self.problems):
            self.root.remove_tree(self._aside(key))
        self.fresh = [key for key in written if key not in self.problems]

    def _aside(self, key: str) -> str:
        return f"{self.root.instances(self.owner)}/.new-{key}"

    def _write(self, key: str) -> None:
        document, aside = self.documents[key], self._aside(key)
        self.root.remove_tree(aside)
        layout.folders(aside)
        self._boot_file(aside, key, document["run"], sync=False)
        record = dict(document, format=layout.FORMAT, owner=self.owner, at=time.time())
        layout.write_plain(aside + "/record.json", record_file.encode(record), sync=False)

    def _boot_file(self, folder: str, key: str, run: dict[str, Any], sync: bool = True) -> None:
        if not run.get("config"):
            return
        text = launch_tokens.config(self.root, self.owner, key, run, self.secrets)
        aside = folder + "/.new-boot"
        layout.write_plain(aside, text.encode(), 0o600, sync)
        privileges.give(aside, privileges.user(self.root, layout.token(self.owner, key)))
        self.root.rename(aside, folder + "/boot.cfg")

    def _sync(self, key: str) -> None:
        aside = self._aside(key)
        for name in os.listdir(aside):
            descriptor = os.open(f"{aside}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        layout.sync_folder(aside)

    def enter(self) -> None:
        """Under the host's short lock: what they need is still free -> their records are in."""
        if not self.fresh:
            return
        with locks.Held(self.root.host_lock):
            others = claims.all_records(self.root)
            taken = (self._ingresses(), sockets.listeners())
            for key in self.fresh:
                if self._try(key, lambda key=key: self._enter(key, others, *taken)):  # type: ignore[misc]
                    self.ready.append(key)
        layout.sync_folder(self.root.instances(self.owner))

    def _ingresses(self) -> dict[str, list[tuple[str, int]]]:
        """What the ingresses of other fleets are to listen on: one that does not run just now has to come back."""
        there = [
            owner for owner in self.root.owners() if os.path.isfile(self.root.fleet(owner) + "/ingress/haproxy.cfg")
        ]
        others = [owner for owner in there if owner != self.owner]
        if not others:
            return {}
        from . import ingress

        return {owner: ingress.ports(self.root, owner) for owner in others}

    def _enter(self, key: str, others: list[Any], ingresses: dict[str, list[tuple[str, int]]], open_ports: Any) -> None:
        run = self.documents[key]["run"]
        try:
            # Another fleet may have collected since what only that one kept.
            self._check_files(key, run)
            conflicts.check(self.root, self.owner, key, run, others, ingresses, open_ports)
        except frames.Problem:
            self.root.remove_tree(self._aside(key))
            raise
        self.root.rename(self._aside(key), self.root.instance(self.owner, key))
        others.append((self.owner, key, self.documents[key]))

    def start(self) -> None:
        """Hand them to the keeper, those that run too: it may have died."""
        wanted = self.ready
        if not wanted:
            return
        self._choose(wanted)
        for key, outcome in supervisor.start(self.root, self.owner, wanted).items():
            if not outcome["ok"]:
                told = outcome["problem"]
                self.problems[key] = frames.Problem(
                    told["kind"], told["text"], told["hint"], told.get("path"), told.get("errno")
                )

    def _choose(self, wanted: list[str]) -> None:
        """Probe the accelerators here, once, and not in the keeper's loop."""
        runs = [self.documents[key]["run"]["argv"] for key in wanted]
        if any("{accel}" in word or "{cpu}" in word for argv in runs for word in argv):
            from ..hypervisors.qemu import accelerator

            accelerator.choose(self.root, programs.which(*programs.QEMU))

    def outcomes(self) -> list[dict[str, Any]]:
        """In the order asked."""
        return [self._outcome(key) for key in self.order]

    def _outcome(self, key: str) -> dict[str, Any]:
        row = {"key": key, "ok": key not in self.problems, "adopted": key in self.adopted}
        if key in self.problems:
            row["problem"] = self.problems[key].document()
        return row


def sync_all(path: str) -> bool:
    """One ``syncfs``; False where it cannot be called, or failed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        import ctypes

        return int(ctypes.CDLL(None).syncfs(descriptor)) == 0
    except (ImportError, OSError, AttributeError):
        return False
    finally:
        os.close(descriptor)


def together(act: Callable[[str], Any], keys: list[str]) -> None:
    """Call for every key, by a few threads at once."""
    left = list(reversed(keys))

    def work() -> None:
        while left:
            try:
                key = left.pop()
            except IndexError:
                return
            act(key)

    threads = [threading.Thread(target=work) for _ in range(min(WRITERS, len(keys)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
