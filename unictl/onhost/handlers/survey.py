"""One pass over the store: the instances of a fleet, what other fleets claim, and what this host is and lacks.

Writes nothing but caches (the hypervisor's version, the accelerator of this boot).
"""

from __future__ import annotations

import os
import time

from ..images import integrity, retention
from ..instances import claims, instance_state, retired_records
from ..lease import lease_holder
from ..platform import programs
from ..protocol import frames
from ..storage import apply_records, fleet_names, guarded_read, layout
from ..survey import capabilities, instance_row, other_stores
from ..systemd import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def survey(root: layout.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """Everything a plan reads of one host, for one owner. ``full``: instance or service -> fingerprint wished."""
    owner = layout.part(ask["owner"])
    notes: guarded_read.Notes = []
    lives_here = instances(root, owner, ask.get("full") or {}, notes)
    ingress, ports = _ingress(root, owner, notes)
    users = {name: f"{row['name']}.{row['generation']}" for row in lives_here for name in row.get("volumes", ())}
    own = {int(forward["host"]) for row in lives_here for forward in row.get("forwards", ())} | ports
    return {
        "format": layout.FORMAT,
        "host": host(root, notes),
        "instances": lives_here,
        "retired": retired_records.launches(root, owner),
        "volumes": _volumes(root, owner, users),
        **_images(root),
        "claims": claims.of_others(root, owner, own, _others_ingress, notes),
        "ingress": ingress,
        "lease": guarded_read.noted(notes, lease_holder.holder, root, owner),
        "policy": _remembered(root, owner, "policy", dict, notes),
        "hosts": _hosts(root, owner, notes),
        "name": fleet_names.survey(root, ask),
        "namesakes": _namesakes(root, owner, str(ask.get("mark", "")), notes),
        "elsewhere": other_stores.stores(root, owner),
        "leftovers": len(lease_holder.leftovers(root, owner)),
        "applies": apply_records.last(root, owner, notes),
        "gates": apply_records.gates(root, owner, notes),
        "spoiled": _spoiled(root, owner, notes),
    }


def instances(
    root: layout.Root, owner: str, full: dict[str, str], notes: guarded_read.Notes | None = None
) -> list[dict[str, Any]]:
    """Short rows of all live records; spec and launch only where the fingerprint is not the wished one."""
    tended = bool(guarded_read.noted(notes, instance_state.keeper_lives, root, owner))
    return [instance_row.row(root, owner, key, full, tended) for key in root.keys(owner)]


def host(root: layout.Root, notes: guarded_read.Notes | None = None) -> dict[str, Any]:
    """What this machine is."""
    total, free = claims.memory()
    qemu = _qemu(root, notes)
    return {
        "id": root.host_id(),
        "boot_id": layout.boot_id(),
        "clock": time.time(),
        "root": root.path,
        "user": user(),
        "memory": total,
        "memory_free": free,
        "cpus": len(os.sched_getaffinity(0)),
        "disk_free": layout.free_bytes(root.path),
        "supervision": "systemd" if units.here() else "detached",
        "hypervisors": {"qemu": qemu} if qemu else {},
        "accelerator": _accelerator(root, qemu),
        "lacks": capabilities.lacks(root, qemu is not None),
    }


def user() -> str:
    """The name of the user the host side runs as, or its number."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _qemu(root: layout.Root, notes: guarded_read.Notes | None) -> dict[str, Any] | None:
    """Path and version; asking QEMU costs 30 ms, so the answer is kept for that very file."""
    path = programs.which(*programs.QEMU)
    if not path:
        return None
    there = os.stat(path)
    mark = [path, there.st_mtime_ns, there.st_size]
    told = guarded_read.noted(notes, guarded_read.read_object, root.path + "/qemu.json") or {}
    if told.get("file") != mark or not isinstance(told.get("version"), str):
        told = {"file": mark, "version": _version(path)}
        layout.write_cache(root.path + "/qemu.json", frames.encode(told))
    return {"path": path, "version": told["version"]}


def _version(path: str) -> str:
    import subprocess

    try:
        said = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=False).stdout.decode()
    except (OSError, subprocess.SubprocessError):
        return ""
    words = said.split("version ", 1)
    return words[1].split()[0].rstrip(",") if len(words) == 2 else ""


def _accelerator(root: layout.Root, qemu: dict[str, Any] | None) -> dict[str, Any] | None:
    if not qemu:
        return None
    try:
        from ..hypervisors.qemu import accelerator

        return accelerator.choose(root, qemu["path"])
    except frames.Problem:
        return None


def _ingress(root: layout.Root, owner: str, notes: guarded_read.Notes) -> tuple[dict[str, Any], set[int]]:
    """What the ingress says of itself, and the ports it listens on: ours, not foreign."""
    absent = {"state": "absent", "hash": ""}
    if not os.path.isdir(root.fleet(owner) + "/ingress"):
        return absent, set()
    from . import ingress

    told = guarded_read.noted(notes, ingress.survey, root, owner)
    ports = guarded_read.noted(notes, ingress.ports, root, owner) or ()
    return told or dict(absent, state="dead"), {port for _, port in ports}


def _others_ingress(root: layout.Root, owner: str) -> list[dict[str, Any]]:
    """What the ingress of another fleet holds."""
    from . import ingress

    return ingress.claims(root, owner)


def _namesakes(root: layout.Root, owner: str, mark: str, notes: guarded_read.Notes) -> list[str]:
    """Other fleets of the same mark: another id, so not ours."""
    found = []
    for other in root.owners():
        path = root.fleet(other) + "/fleet.json"
        told = guarded_read.noted(notes, guarded_read.read_object, path) or {}
        if other != owner and mark and told.get("mark") == mark:
            found.append(other)
    return found


def _volumes(root: layout.Root, owner: str, users: dict[str, str]) -> list[dict[str, Any]]:
    """The fleet's volumes with the instance that names each."""
    rows = []
    for name in root.volume_names(owner):
        try:
            size = os.path.getsize(root.volume(owner, name) + "/data")
        except OSError:
            size = 0
        rows.append({"name": name, "size": size, "used_by": users.get(name, "")})
    return rows


def _images(root: layout.Root) -> dict[str, list[str]]:
    """What lies in the store; what is damaged is not there, and told apart."""
    there = [name for name in layout.names(root.images) if len(name) == 64]
    damaged = integrity.damaged(root, there)
    return {"images": [name for name in there if name not in damaged], "damaged": damaged}


def _hosts(root: layout.Root, owner: str, notes: guarded_read.Notes) -> Any:
    """The hosts of the fleet as last applied, as one text: a thousand hosts say a thousand each."""
    told = _remembered(root, owner, "hosts", list, notes)
    return None if told is None else "\n".join(map(str, told))


def _remembered(root: layout.Root, owner: str, name: str, of: type, notes: guarded_read.Notes) -> Any:
    """``policy`` or ``hosts`` as last applied; None before the first apply, or where the file is damaged."""
    path = f"{root.fleet(owner)}/{name}.json"

    def read() -> Any:
        told = guarded_read.read_json(path)
        if told is None or isinstance(told, of):
            return told
        raise guarded_read.odd_content(path, f"the {name} of the last apply")

    return guarded_read.noted(notes, read)


def _spoiled(root: layout.Root, owner: str, notes: guarded_read.Notes) -> list[dict[str, Any]]:
    """What was found damaged: {path, text, hint, bars}. ``bars``: the next apply of this fleet has to write there, and
    cannot."""
    retention.revisions(root, owner, notes)
    for path in _strays(root, owner):
        notes.append(
            frames.Problem("damaged", f"{path} is called as nothing of unictl's is", guarded_read.AWAY, path=path)
        )
    rows = {}
    for note in notes:
        path = note.path or ""
        rows[path] = {"path": path, "text": note.text, "hint": note.hint, "bars": _bars(root, owner, path)}
    return list(rows.values())


def _bars(root: layout.Root, owner: str, path: str) -> bool:
    """A folder cannot be written over. What is written by a rename takes the place of anything else, and what is
    appended to, or locked, does not."""
    there = guarded_read.kind(path)
    if there == "a folder":
        return path.startswith(root.fleet(owner) + "/")
    lasting = (root.fleet(owner) + "/ledger.jsonl", lease_holder.lease_path(root, owner))
    return path in lasting and there not in ("a file", "")


def _strays(root: layout.Root, owner: str) -> list[str]:
    """What lies among the fleet's instances or volumes, and is none."""
    known = {root.instances(owner): set(root.keys(owner)), root.volumes(owner): set(root.volume_names(owner))}
    return [f"{folder}/{name}" for folder, mine in known.items() for name in layout.names(folder) if name not in mine]
