"""One pass over the store: what runs for a fleet, what others hold, what this host is and cannot do. Writes nothing
but caches (the hypervisor's version, the accelerator of this boot)."""

from __future__ import annotations

import os
import time

from . import (
    applies,
    claims,
    elsewhere,
    holders,
    intact,
    lives,
    names,
    privilege,
    programs,
    records,
    retired,
    sealed,
    units,
    wire,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RUN_FACTS = ("memory", "overhead", "cpus", "forwards", "volumes", "images")
RECORD_FACTS = ("service", "ordinal", "launch", "fingerprint", "commit", "protect", "resolved")


def survey(root: records.Root, ask: dict[str, Any], call: Any) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """Everything a plan reads of one host, for one owner. ``full``: instance or service -> fingerprint wished."""
    owner = records.part(ask["owner"])
    rows = instances(root, owner, ask.get("full") or {})
    ingress, ports = _ingress(root, owner)
    users = {name: f"{row['name']}.{row['generation']}" for row in rows for name in row.get("volumes", ())}
    own = {int(forward["host"]) for row in rows for forward in row.get("forwards", ())} | ports
    return {
        "format": records.FORMAT,
        "host": host(root),
        "instances": rows,
        "retired": retired.launches(root, owner),
        "volumes": _volumes(root, owner, users),
        **_images(root),
        "claims": claims.of_others(root, owner, own, _others_ingress),
        "ingress": ingress,
        "lease": holders.holder(root, owner),
        "policy": _remembered(root, owner, "policy"),
        "hosts": _hosts(root, owner),
        "name": names.survey(root, ask),
        "namesakes": _namesakes(root, owner, str(ask.get("mark", ""))),
        "elsewhere": elsewhere.stores(root, owner),
        "leftovers": len(holders.leftovers(root, owner)),
        "applies": applies.last(root, owner),
        "gates": applies.gates(root, owner),
    }


def instances(root: records.Root, owner: str, full: dict[str, str]) -> list[dict[str, Any]]:
    """Short rows of all live records; spec and launch only where the fingerprint is not the wished one."""
    kept = lives.keeper_lives(root, owner)
    return [_row(root, owner, key, full, kept) for key in records.names(root.instances(owner))]


def _row(root: records.Root, owner: str, key: str, full: dict[str, str], kept: bool) -> dict[str, Any]:
    try:
        return _read(root, owner, key, full, kept)
    except wire.Problem as problem:
        if problem.kind == "newer-format":
            # Not damaged: whoever replaced it would undo what a newer unictl did.
            raise
        return _damaged(key, problem.text)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return _damaged(key, f"its record lacks something: {error!r}")
    except OSError as error:
        return _damaged(key, f"its record cannot be read: {error.strerror}")


def _read(root: records.Root, owner: str, key: str, full: dict[str, str], kept: bool) -> dict[str, Any]:
    folder = root.instance(owner, key)
    record = sealed.read(folder)
    if record is None:
        return _damaged(key, "its record.json is gone")
    if int(record["format"]) > records.FORMAT:
        raise records.newer(f"the record of {key}", record)
    row = {"name": record["name"], "generation": record["generation"]}
    row.update({name: record.get(name) for name in RECORD_FACTS})
    row.update({name: record["run"].get(name) for name in RUN_FACTS})
    row.update(records.read_json(folder + "/marks.json") or {})
    row.update(lives.state(root, owner, key, kept))
    row["supervision"] = units.supervision(root, owner, key)
    row["since"] = row["since"] or record.get("at", 0.0)
    wished = full.get(record["name"]) or full.get(str(record.get("service")))
    if wished and wished != record["fingerprint"]:
        row["spec"] = record.get("spec")
        row["launched"] = {"restart": record.get("restart"), "run": record["run"]}
    return row


def _damaged(key: str, why: str) -> dict[str, Any]:
    name, _, generation = key.partition(".")
    service, _, ordinal = name.rpartition("-")
    return {
        "name": name,
        "generation": generation,
        "service": service,
        "ordinal": int(ordinal) if ordinal.isdigit() else 0,
        "launch": 0,
        "fingerprint": "",
        "state": "damaged",
        "why": why,
    }


def host(root: records.Root) -> dict[str, Any]:
    """What this machine is."""
    total, free = claims.memory()
    qemu = _qemu(root)
    return {
        "id": root.host_id(),
        "boot_id": records.boot_id(),
        "clock": time.time(),
        "root": root.path,
        "user": user(),
        "memory": total,
        "memory_free": free,
        "cpus": len(os.sched_getaffinity(0)),
        "disk_free": records.free_bytes(root.path),
        "supervision": "systemd" if units.here() else "detached",
        "hypervisors": {"qemu": qemu} if qemu else {},
        "accelerator": _accelerator(root, qemu),
        "lacks": _lacks(root, qemu),
    }


def user() -> str:
    """The name of the user the host side runs as, or its number."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _qemu(root: records.Root) -> dict[str, Any] | None:
    """Path and version; asking QEMU costs 30 ms, so the answer is kept for that very file."""
    path = programs.which(*programs.QEMU)
    if not path:
        return None
    there = os.stat(path)
    mark = [path, there.st_mtime_ns, there.st_size]
    try:
        told = records.read_json(root.path + "/qemu.json") or {}
    except wire.Problem:
        told = {}
    if told.get("file") != mark:
        told = {"file": mark, "version": _version(path)}
        records.write_cache(root.path + "/qemu.json", wire.encode(told))
    return {"path": path, "version": told["version"]}


def _version(path: str) -> str:
    import subprocess

    try:
        said = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=False).stdout.decode()
    except (OSError, subprocess.SubprocessError):
        return ""
    words = said.split("version ", 1)
    return words[1].split()[0].rstrip(",") if len(words) == 2 else ""


def _accelerator(root: records.Root, qemu: dict[str, Any] | None) -> dict[str, Any] | None:
    if not qemu:
        return None
    try:
        from . import accelerator

        return accelerator.choose(root, qemu["path"])
    except wire.Problem:
        return None


def _lacks(root: records.Root, qemu: dict[str, Any] | None) -> list[dict[str, str]]:
    rows = []
    if not qemu:
        rows.append({"code": "no-qemu", "text": "there is no QEMU", "hint": "install qemu-system-x86 on the host"})
    if not programs.which("haproxy"):
        hint = "install haproxy on the host, or set `ingress: false` for it"
        rows.append({"code": "no-haproxy", "text": "there is no HAProxy, so it cannot run the ingress", "hint": hint})
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        hint = "guests run emulated; give the user access to /dev/kvm where the machine has it"
        rows.append({"code": "no-kvm", "text": "/dev/kvm cannot be used", "hint": hint})
    if os.geteuid() == 0 and privilege.why_not(root):
        text = f"hypervisors run as root: {privilege.why_not(root)}"
        rows.append({"code": "privileged-hypervisors", "text": text, "hint": "put the store elsewhere (`root:`)"})
    return rows + _lacks_of_systemd()


def _lacks_of_systemd() -> list[dict[str, str]]:
    """What supervision by systemd does not hold here; nothing where it does not run."""
    if why := units.why_not():
        text = f"what ends or reboots is started by the next apply only: {why}"
        hint = "set `become: true` for the host, so that systemd supervises"
        return [{"code": "no-units", "text": text, "hint": hint}]
    if not units.here():
        return []
    from . import limits

    return limits.lacks()


def _ingress(root: records.Root, owner: str) -> tuple[dict[str, Any], set[int]]:
    """What the ingress says of itself, and the ports it listens on: ours, not foreign."""
    if not os.path.isdir(root.fleet(owner) + "/ingress"):
        return {"state": "absent", "hash": ""}, set()
    from . import ingress

    return ingress.survey(root, owner), {port for _, port in ingress.ports(root, owner)}


def _others_ingress(root: records.Root, owner: str) -> list[dict[str, Any]]:
    """What the ingress of another fleet holds."""
    from . import ingress

    return ingress.claims(root, owner)


def _namesakes(root: records.Root, owner: str, mark: str) -> list[str]:
    """Other fleets of the same mark: another id, so not ours."""
    found = []
    for other in root.owners():
        if other != owner and mark:
            try:
                told = records.read_json(root.fleet(other) + "/fleet.json") or {}
            except wire.Problem:
                continue
            if told.get("mark") == mark:
                found.append(other)
    return found


def _volumes(root: records.Root, owner: str, users: dict[str, str]) -> list[dict[str, Any]]:
    """The fleet's volumes with the instance that names each."""
    rows = []
    for name in records.names(root.volumes(owner)):
        try:
            size = os.path.getsize(root.volume(owner, name) + "/data")
        except OSError:
            size = 0
        rows.append({"name": name, "size": size, "used_by": users.get(name, "")})
    return rows


def _images(root: records.Root) -> dict[str, list[str]]:
    """What lies in the store; what is damaged is not there, and told apart."""
    there = [name for name in records.names(root.images) if len(name) == 64]
    damaged = intact.damaged(root, there)
    return {"images": [name for name in there if name not in damaged], "damaged": damaged}


def _hosts(root: records.Root, owner: str) -> Any:
    """The hosts of the fleet as last applied, as one text: a thousand hosts say a thousand each."""
    told = _remembered(root, owner, "hosts")
    return "\n".join(map(str, told)) if isinstance(told, list) else None


def _remembered(root: records.Root, owner: str, name: str) -> Any:
    """``policy`` or ``hosts`` as last applied; None before the first apply, or where the file is damaged."""
    try:
        return records.read_json(f"{root.fleet(owner)}/{name}.json")
    except wire.Problem:
        return None
