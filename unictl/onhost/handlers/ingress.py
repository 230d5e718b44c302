"""Changes the ingress of a fleet on this host: activates a configuration, reloads HAProxy without losing a
connection, stops it.

The text is written aside, checked, renamed, then started. Its hash is in the description of the process, so that
the
file and the running process can always be compared. The control side decides what the text is.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import time

from ..ingress import haproxy, ingress_ports
from ..instances import instance_state, run_log
from ..lease import fleet_lease
from ..platform import privileges
from ..protocol import frames
from ..storage import fleet_names, layout, locks
from ..supervision import supervisor
from ..systemd import unit_files, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..ingress.haproxy import Place
    from ..storage.fenced_store import Writable

TOKEN = "\n{global}\n"
CONNECTIONS = 10_000
"""Connections an ingress holds at most; fewer where the host's limit of open files is low."""
THREADS = 4
INTERIM = "interim"
"""Stands for the hash while ports are let go of: it is never what is wished, so a killed run is made good."""
KILL = 2.0
"""Seconds that one told to end by SIGKILL has."""
HARD_STOP = 1.5
"""Seconds HAProxy takes to end once its time to drain is over and it has cut what was left (a second, measured)."""
STOP = 0.5
"""Seconds that one without sessions needs at most to end by itself."""


def ingress(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:
    """Put a text in force (none: stop the ingress), then wait at most ``wait`` ms for what drains.

    ``out``: nothing is done where none of these servers stands in what is in force. ``leaves``: it only takes servers
    away, which needs no port where none runs: whoever starts it next has the new text.
    """
    held = fleet_lease.require(ask, call)
    root = held.root
    place = haproxy.Place(root, ask["owner"])
    wait = float(ask.get("wait") or 0) / 1000
    layout.folders(os.path.dirname(place.lock), 0o700)
    # The keeper starts one that ended: not beside us.
    with locks.Held(place.lock):
        if ask.get("out") and _knows_none(place, ask["out"]):
            return {"changed": False, "drained": True}
        if not ask.get("text"):
            return _stop(root, place, wait, call)
        current, changed = _put(root, place, ask, held.descriptor)
    supervisor.attend(root, ask["owner"])
    return {"changed": changed, "drained": _drain(place, current, wait, call)}


def _put(root: Writable, place: Place, ask: dict[str, Any], lock: int) -> tuple[tuple[int, str] | None, bool]:
    """(who is current now, whether anything was changed) with the text in force."""
    current = haproxy.running(place)
    # The file is compared as well: a killed run may have left there what was never put in force.
    changed = current is None or current[1] != ask["hash"] or f" {ask['hash']}\n" not in place.text()
    if changed and ask.get("leaves") and _fallen(place, ask["text"]):
        root.write_atomic(place.config, _substituted(place, ask, privileges.user(root, place.token)).encode())
    elif changed:
        if not haproxy.program():
            raise frames.Problem("unsupported", _LACK["text"], _LACK["hint"])
        before = place.text()
        _prepare(root, place, ask, lock)
        try:
            current = _swap(root, place, ask["hash"], _make_way(root, place, current))
        except frames.Problem:
            _restore(root, place, before)
            raise
    return current, changed


def _restore(root: Writable, place: Place, before: str) -> None:
    """What could not be put in force claims no port: the text is what it was before."""
    if before:
        root.write_atomic(place.config, before.encode())
        current = haproxy.running(place)
        if current and current[1] == INTERIM:
            _swap(root, place, haproxy.wished(place), current)
        return
    if units.here():
        unit_files.disable(root, place.unit)
        unit_files.remove(root, place.unit)
    _silence(root, place)
    root.remove_tree(place.run)
    root.remove_aside(place.folder)


def _fallen(place: Place, text: str) -> bool:
    """Whether none of ours runs, and the text listens nowhere where the one in place does not."""
    pidfds = haproxy.mine(place)
    runs = bool(pidfds)
    haproxy.close(pidfds)
    return not runs and set(ingress_ports.of_text(text)) <= set(ingress_ports.of_text(place.text()))


def _knows_none(place: Place, keys: list[str]) -> bool:
    """Whether none of these is a server of the text in place, and no other text is in force."""
    current = haproxy.running(place)
    listed = any(f"    server {key} " in place.text() for key in keys)
    return not listed and (current is None or current[1] == haproxy.wished(place))


def survey(root: layout.Root, owner: str) -> dict[str, Any]:
    """What runs now: state, hash, since when, each server's health as HAProxy sees it, how often it ended by itself and
    when it last did so (0 where nobody saw it); of one that does not run, whether the keeper starts it again, and why
    its last try failed."""
    place = haproxy.Place(root, owner)
    said = haproxy.answer(place, "show stat -1 4 -1")
    past = run_log.entries(place.folder)
    ends = [entry for entry in past if entry.get("event") == "ended"]
    told_of = {"ends": len(ends), "ended": float(ends[-1]["at"]) if ends and ends[-1].get("seen") else 0.0}
    if said is None:
        row: dict[str, Any] = {"state": _silent(place), "hash": "", "since": 0.0, "servers": {}}
        if row["state"] == "starting":
            row["hash"] = haproxy.wished(place)
        if row["state"] != "absent":
            why = past[-1].get("why", "") if past else ""
            unseen = not past or past[-1].get("event") == "started"
            row.update(
                told_of,
                **({"ended": 0.0} if unseen else {}),
                restarting=instance_state.keeper_lives(root, owner),
                why=why,
            )
        return row
    told, stat = said[0], said[1].partition("\n# pxname,")[2]
    since = told.get("Start_time_sec") or time.time() - float(told.get("Uptime_sec") or 0)
    return {
        "state": "running",
        "hash": haproxy.digest_of(told),
        "since": float(since),
        "servers": _servers(stat),
        **told_of,
    }


def told(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """The text in place without its servers, and the hash it goes by: what a plan says old and new of."""
    place = haproxy.Place(root, layout.part(ask["owner"]))
    lines = (line for line in place.text().splitlines(True) if not line.startswith("    server "))
    return {"text": "".join(lines), "hash": haproxy.wished(place)}


def ports(root: layout.Root, owner: str) -> list[tuple[str, int]]:
    """(address, port) of everything the ingress of this fleet is to listen on; the address is empty for all."""
    return ingress_ports.of_text(haproxy.Place(root, owner).text())


def claims(root: layout.Root, owner: str) -> list[dict[str, Any]]:
    """The same as rows of a survey's ``claims``, for the fleets this one is foreign to."""
    return [
        {"kind": "port", "owner": fleet_names.called(root, owner), "holder": "ingress", "bind": bind, "port": port}
        for bind, port in ports(root, owner)
    ]


_LACK = {
    "code": "no-haproxy",
    "text": "HAProxy is not installed on this host, so it cannot run an ingress (endpoints and published ports)",
    "hint": "install haproxy on the host, or set `ingress: false` for it in the fleet file",
}


def lacks() -> list[dict[str, str]]:
    """The sentence of a survey where this host can run no ingress."""
    return [] if haproxy.program() else [dict(_LACK)]


def _silent(place: Place) -> str:
    """The state of an ingress that does not answer."""
    text = place.text()
    if not text:
        return "absent"
    if units.enabled(place.unit) and units.coming(place.unit):
        return "starting"
    if locks.held(place.alive):
        return "dead"
    taken = any(ingress_ports.listening(port) for _, port in ingress_ports.of_text(text))
    return "foreign" if taken else "dead"


def _servers(stat: str) -> dict[str, str]:
    """Instance key -> UP or DOWN. One that stands in several sections is UP where it is in all."""
    lines = stat.splitlines()
    column = ("pxname," + lines[0]).split(",").index("status") if lines else 0
    health: dict[str, str] = {}
    for line in lines[1:]:
        fields = line.split(",")
        if len(fields) > column:
            up = fields[column].startswith("UP") and health.get(fields[1]) != "DOWN"
            health[fields[1]] = "UP" if up else "DOWN"
    return health


def _prepare(root: Writable, place: Place, ask: dict[str, Any], lock: int) -> None:
    """Everything before the process: text aside, checked, ports claimed, renamed into place."""
    uid = privileges.user(root, place.token)
    for folder in (place.folder, place.run):
        layout.folders(folder)
    layout.write_plain(place.next, _substituted(place, ask, uid).encode())
    try:
        haproxy.check(place.next, lock)
        wanted = ingress_ports.of_text(ask["text"])
        with locks.Held(root.host_lock):
            others = {owner: ports(root, owner) for owner in root.owners() if owner != place.owner}
            ingress_ports.check_claims(root, wanted, others)
            ingress_ports.check_free(wanted, _own_sockets(place))
            root.rename(place.next, place.config)
        layout.sync_folder(place.folder)
    finally:
        root.remove_file(place.next)


def _substituted(place: Place, ask: dict[str, Any], uid: int | None) -> str:
    text = str(ask["text"])
    if text.count(TOKEN) != 1:
        raise frames.Problem("failed", "the ingress text has no line {global}", "this is a fault of unictl: report it")
    lines = [
        f"description unictl {place.owner} {layout.part(ask['hash'])}",
        f"stats socket {place.admin} mode 600 level admin expose-fd listeners",
        f"maxconn {_connections(text)}",
        f"nbthread {min(THREADS, len(os.sched_getaffinity(0)))}",
    ]
    lines += [] if uid is None else [f"uid {uid}", f"gid {uid}"]
    return text.replace(TOKEN, "\n" + "".join(f"    {line}\n" for line in lines))


def _connections(text: str) -> int:
    """A connection takes two files; checks, listeners and HAProxy itself take some too.

    Root is held to the limit as well: it may not raise it where a container took that right away.
    """
    spare = 200 + 2 * text.count("\n")
    return max(50, min(CONNECTIONS, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - spare) // 2))


def _own_sockets(place: Place) -> set[str]:
    pidfds = haproxy.mine(place)
    try:
        return {inode for pid in pidfds for inode in ingress_ports.inodes(pid)}
    finally:
        haproxy.close(pidfds)


def _make_way(root: Writable, place: Place, current: tuple[int, str] | None) -> tuple[int, str] | None:
    """Let go of ports that move to another address, by a reload without them; who is current then.

    Else HAProxy would find its own old listener in the way, and have all listeners shut down to get past it; those
    handed over would stay so.
    """
    wished = place.text()
    moving = ingress_ports.moving(ingress_ports.of_text(wished), _own_sockets(place)) if current else []
    if not moving:
        return current
    interim = re.sub(
        r"(?m)^(    description unictl \S+ ).*$", rf"\g<1>{INTERIM}", ingress_ports.without(wished, moving)
    )
    root.write_atomic(place.config, interim.encode())
    current = _swap(root, place, INTERIM, current)
    deadline = time.monotonic() + KILL
    while ingress_ports.moving(moving, _own_sockets(place)) and time.monotonic() < deadline:
        time.sleep(0.005)
    root.write_atomic(place.config, wished.encode())
    return current


def _swap(root: Writable, place: Place, wished: str, current: tuple[int, str] | None) -> tuple[int, str]:
    """Start or reload; the (pid, hash) now in force."""
    if current is None:
        _silence(root, place)
    haproxy.start(root, place, [] if current is None else [current[0]], handover=current is not None)
    now = haproxy.running(place)
    if now is None or now[1] != wished:
        raise frames.Problem("failed", "HAProxy started but does not answer", "run the same command again")
    return now


def _silence(root: Writable, place: Place) -> None:
    """One of ours that runs but does not answer (hung, stopped, its socket lost) must let go of the ports."""
    pidfds = haproxy.mine(place)
    if pidfds:
        with root.fence.passing():
            haproxy.tell(pidfds, signal.SIGKILL)
        haproxy.await_end(pidfds, KILL, None)
        haproxy.close(pidfds)


def _drain(place: Place, current: tuple[int, str] | None, wait: float, call: Any) -> bool:
    """Wait until only the current one is left. What a killed run started beside it is told to finish, too."""
    deadline = time.monotonic() + wait + (HARD_STOP if wait else 0)
    while True:
        pidfds = haproxy.mine(place)
        if current is not None and current[0] in pidfds:
            os.close(pidfds.pop(current[0]))
        if not pidfds:
            return True
        haproxy.tell(pidfds, signal.SIGUSR1)
        try:
            if not haproxy.await_end(pidfds, deadline - time.monotonic(), call.cancelled):
                return False
        finally:
            haproxy.close(pidfds)


def _stop(root: Writable, place: Place, wait: float, call: Any) -> dict[str, Any]:
    """Stop listening, drain, end, then remove the files: a survey between them sees ``dead`` and it is done again."""
    there = os.path.isdir(place.folder) or os.path.isdir(place.run)
    if units.here():
        unit_files.disable(root, place.unit)
    pidfds = haproxy.mine(place)
    there = there or bool(pidfds)
    with root.fence.passing():
        haproxy.tell(pidfds, signal.SIGUSR1)
    drained = haproxy.await_end(pidfds, max(wait, STOP), call.cancelled)
    with root.fence.passing():
        haproxy.tell(pidfds, signal.SIGKILL)
    haproxy.await_end(pidfds, KILL, None)
    haproxy.close(pidfds)
    if units.here():
        unit_files.remove(root, place.unit)
    root.remove_tree(place.run)
    root.remove_aside(place.folder)
    return {"changed": there, "drained": drained}
