"""Handles ``launch``: writes the records of a batch aside, checks their claims, renames them in, and starts the
instances.

An instance that is running already is adopted; one that was recorded but never started, or was lost in a reboot,
continues from there.
"""

from __future__ import annotations

import os
import threading
import time

from .. import errors
from ..hypervisors import drivers
from ..images import integrity
from ..instances import claims, conflicts, instance_state, launch_tokens, record_file
from ..platform import privileges, sockets
from ..storage import atomic, identifiers, layout, locks
from ..supervision import supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ..protocol.request_context import RequestContext
    from ..storage.fenced_store import FencedStore
    from ..supervision.supervisor import Supervisor

SYNC_THREADS = 8
"""Threads that sync a few records: the file system commits what arrives together at once."""
SYNC_ALL_FROM = 16
"""Records from which on one sync of the whole file system is cheaper."""


def launch(root: FencedStore, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """Start the instances of a list; one outcome each: {key, ok, adopted, problem?}."""
    owner, secrets = request["owner"], request.get("secrets") or {}
    fleet_supervisor = supervisor.choose(root, owner)
    batch = LaunchBatch(root, owner, secrets)
    for document in request["instances"]:
        batch.classify(document)
    # The supervisor takes some ten ms to begin, and the disk as long to write: both at once.
    wake_thread = threading.Thread(target=fleet_supervisor.start_daemon)
    wake_thread.start()
    try:
        batch.write_records()
        batch.commit()
    finally:
        wake_thread.join()
    batch.start_ready(fleet_supervisor)
    return {"outcomes": batch.outcomes()}


def _instance_key(document: dict[str, Any]) -> str:
    """``api-2.7f3c9a1b``."""
    return layout.safe_component(f"{document['name']}.{document['generation']}")


class LaunchBatch:
    """One launch message on its way. A problem ends the way of its instance only."""

    def __init__(self, root: FencedStore, owner: str, secrets: dict[str, str]):
        self.root = root
        self.owner = owner
        self.secrets = secrets
        self.order: list[str] = []
        self.documents: dict[str, dict[str, Any]] = {}
        self.new_keys: list[str] = []
        self.ready: list[str] = []
        self.adopted: set[str] = set()
        self.problems: dict[str, errors.HostError] = {}

    def _attempt(self, key: str, action: Callable[[], None]) -> bool:
        try:
            action()
        except errors.HostError as host_error:
            self.problems[key] = host_error
        except OSError as os_error:
            self.problems[key] = atomic.from_os_error(os_error)
        return key not in self.problems

    def classify(self, document: dict[str, Any]) -> None:
        """Runs already, recorded already, or new."""
        key = _instance_key(document)
        self.order.append(key)
        self.documents[key] = document
        self._attempt(key, lambda: self._classify(key, document))

    def _classify(self, key: str, document: dict[str, Any]) -> None:
        directory = self.root.instance(self.owner, key)
        record = record_file.read_record(directory)
        self._check_files(key, document["run"])
        if record is None:
            self.new_keys.append(key)
            return
        if (record.get("fingerprint"), record.get("launch")) != (document["fingerprint"], document["launch"]):
            raise errors.HostError(
                "damaged", f"the record of {key} is that of another instance", "plan again", path=directory
            )
        if instance_state.read_state(self.root, self.owner, key, True)["state"] == "running":
            self.adopted.add(key)
        elif set(document["run"].get("secrets", ())) <= set(self.secrets):
            self._write_boot_file(directory, key, document["run"])
        self.ready.append(key)

    def _check_files(self, key: str, run: dict[str, Any]) -> None:
        for digest in run.get("images", ()):
            if integrity.verify(self.root, layout.checked_digest(digest)):
                continue
            if os.path.exists(f"{self.root.images}/{digest}"):
                raise errors.HostError(
                    "damaged", f"{key}: {integrity.damage_text(digest)}", "apply again: it is brought anew"
                )
            raise errors.HostError(
                "no-image", f"{key} needs image {digest[:12]}, which is not on this host", "plan again"
            )
        for name in run.get("volumes", ()):
            if not os.path.isdir(self.root.volume(self.owner, name)):
                raise errors.HostError(
                    "not-found", f"{key} needs volume {name}, which is not on this host", "plan again"
                )

    def write_records(self) -> None:
        """Records and boot files aside, all of them, then made durable together."""
        written = [key for key in self.new_keys if self._attempt(key, lambda key=key: self._write_record(key))]  # type: ignore[misc]
        if len(written) < SYNC_ALL_FROM or not atomic.sync_filesystem(self.root.path):
            _run_parallel(lambda key: self._attempt(key, lambda: self._sync_record(key)), written)
        for key in set(self.new_keys) & set(self.problems):
            self.root.remove_tree(self._aside_path(key))
        self.new_keys = [key for key in written if key not in self.problems]

    def _aside_path(self, key: str) -> str:
        return f"{self.root.instances(self.owner)}/.new-{key}"

    def _write_record(self, key: str) -> None:
        document, aside = self.documents[key], self._aside_path(key)
        # A record that nothing here can run is not even written.
        drivers.require_driver(document["run"])
        self.root.remove_tree(aside)
        atomic.make_dirs(aside)
        self._write_boot_file(aside, key, document["run"], sync=False)
        record = dict(document, format=layout.FORMAT, owner=self.owner, at=time.time())
        atomic.write_in_place(aside + "/record.json", record_file.encode_record(record), sync=False)

    def _write_boot_file(self, directory: str, key: str, run: dict[str, Any], sync: bool = True) -> None:
        if not run.get("config"):
            return
        text = launch_tokens.expand_config(self.root, self.owner, key, run, self.secrets)
        aside = directory + "/.new-boot"
        atomic.write_in_place(aside, text.encode(), 0o600, sync)
        privileges.give_to_user(aside, privileges.instance_uid(self.root, identifiers.run_dir_name(self.owner, key)))
        self.root.rename(aside, directory + "/boot.cfg")

    def _sync_record(self, key: str) -> None:
        aside = self._aside_path(key)
        for name in os.listdir(aside):
            descriptor = os.open(f"{aside}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        atomic.sync_directory(aside)

    def commit(self) -> None:
        """Under the host's short lock: what they need is still free -> their records are in."""
        if not self.new_keys:
            return
        with locks.LockGuard(self.root.host_lock):
            entries = claims.all_records(self.root)
            taken_ports = (self._foreign_ingress_ports(), sockets.listening_sockets())
            for key in self.new_keys:
                if self._attempt(key, lambda key=key: self._commit_record(key, entries, *taken_ports)):  # type: ignore[misc]
                    self.ready.append(key)
        atomic.sync_directory(self.root.instances(self.owner))

    def _foreign_ingress_ports(self) -> dict[str, list[tuple[str, int]]]:
        """What the ingresses of other fleets are to listen on: one that does not run just now has to come back."""
        with_ingress = [
            owner for owner in self.root.owners() if os.path.isfile(self.root.fleet(owner) + "/ingress/haproxy.cfg")
        ]
        foreign_owners = [owner for owner in with_ingress if owner != self.owner]
        if not foreign_owners:
            return {}
        from ..ingress import ingress_status

        return {owner: ingress_status.configured_ports(self.root, owner) for owner in foreign_owners}

    def _commit_record(
        self, key: str, entries: list[Any], ingresses: dict[str, list[tuple[str, int]]], open_ports: Any
    ) -> None:
        run = self.documents[key]["run"]
        try:
            # Another fleet may have collected since what only that one kept.
            self._check_files(key, run)
            conflicts.check_conflicts(self.root, self.owner, key, run, entries, ingresses, open_ports)
        except errors.HostError:
            self.root.remove_tree(self._aside_path(key))
            raise
        self.root.rename(self._aside_path(key), self.root.instance(self.owner, key))
        entries.append((self.owner, key, self.documents[key]))

    def start_ready(self, fleet_supervisor: Supervisor) -> None:
        """Hand them to the supervisor, those that run too: it may have died."""
        keys = self.ready
        if not keys:
            return
        self._choose_accelerator(keys)
        for key, outcome in fleet_supervisor.start(keys).items():
            if not outcome["ok"]:
                problem = outcome["problem"]
                self.problems[key] = errors.HostError(
                    problem["kind"], problem["text"], problem["hint"], problem.get("path"), problem.get("errno")
                )

    def _choose_accelerator(self, keys: list[str]) -> None:
        """Probe the accelerators here, once, and not in the supervisor's loop."""
        for name, driver in drivers.load_all().items():
            runs = [self.documents[key]["run"] for key in keys]
            if any(driver.needs_accelerator(run["argv"]) for run in runs if run.get("hypervisor") == name):
                driver.choose_accelerator(self.root, driver.find_program())

    def outcomes(self) -> list[dict[str, Any]]:
        """In the order asked."""
        return [self._outcome(key) for key in self.order]

    def _outcome(self, key: str) -> dict[str, Any]:
        outcome = {"key": key, "ok": key not in self.problems, "adopted": key in self.adopted}
        if key in self.problems:
            outcome["problem"] = self.problems[key].to_document()
        return outcome


def _run_parallel(action: Callable[[str], Any], keys: list[str]) -> None:
    """Call for every key, by a few threads at once."""
    remaining = list(reversed(keys))

    def work() -> None:
        while remaining:
            try:
                key = remaining.pop()
            except IndexError:
                return
            action(key)

    threads = [threading.Thread(target=work) for _ in range(min(SYNC_THREADS, len(keys)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
