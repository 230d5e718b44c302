"""One pass over the store: the instances of a fleet, what other fleets claim, and what this host is and lacks.

Writes nothing but caches (the hypervisor's version, the accelerator of this boot).
"""

from __future__ import annotations

import os

from ..images import integrity
from ..instances import claims, instance_state, retired_records
from ..lease import lease_holder
from ..storage import apply_records, fleet_names, guarded_read, layout
from ..survey import damage, host_facts, instance_row, other_stores

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..protocol.request_context import RequestContext


def survey(root: layout.StoreLayout, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """Everything a plan reads of one host, for one owner. ``full``: instance or service -> desired fingerprint."""
    owner = layout.safe_component(request["owner"])
    notes: guarded_read.Notes = []
    live_rows = instance_rows(root, owner, request.get("full") or {}, notes)
    ingress, ports = _ingress_status(root, owner, notes)
    users = {
        name: f"{live_row['name']}.{live_row['generation']}"
        for live_row in live_rows
        for name in live_row.get("volumes", ())
    }
    own_ports = {int(forward["host"]) for live_row in live_rows for forward in live_row.get("forwards", ())} | ports
    return {
        "format": layout.FORMAT,
        "host": host_facts.read_host(root, notes),
        "instances": live_rows,
        "retired": retired_records.highest_launches(root, owner),
        "volumes": _volume_rows(root, owner, users),
        **_image_digests(root),
        "claims": claims.foreign_claims(root, owner, own_ports, _foreign_ingress_claims, notes),
        "ingress": ingress,
        "lease": guarded_read.read_or_note(notes, lease_holder.current_holder, root, owner),
        "policy": _last_applied(root, owner, "policy", dict, notes),
        "hosts": _last_applied_hosts(root, owner, notes),
        "name": fleet_names.survey_name(root, request),
        "namesakes": _namesakes(root, owner, str(request.get("mark", "")), notes),
        "elsewhere": other_stores.find_stores(root, owner),
        "leftovers": len(lease_holder.find_leftovers(root, owner)),
        "applies": apply_records.last_completed(root, owner, notes),
        "gates": apply_records.gate_results(root, owner, notes),
        "spoiled": damage.find_damage(root, owner, notes),
    }


def instance_rows(
    root: layout.StoreLayout, owner: str, desired_fingerprints: dict[str, str], notes: guarded_read.Notes | None = None
) -> list[dict[str, Any]]:
    """Short rows of all live records; spec and launch only where the fingerprint is not the desired one."""
    is_supervised = bool(guarded_read.read_or_note(notes, instance_state.supervisor_alive, root, owner))
    return [instance_row.build_row(root, owner, key, desired_fingerprints, is_supervised) for key in root.keys(owner)]


def _ingress_status(root: layout.StoreLayout, owner: str, notes: guarded_read.Notes) -> tuple[dict[str, Any], set[int]]:
    """What the ingress says of itself, and the ports it listens on: ours, not foreign."""
    absent = {"state": "absent", "hash": ""}
    if not os.path.isdir(root.fleet(owner) + "/ingress"):
        return absent, set()
    from ..ingress import ingress_status

    status_row = guarded_read.read_or_note(notes, ingress_status.current_status, root, owner)
    ports = guarded_read.read_or_note(notes, ingress_status.configured_ports, root, owner) or ()
    return status_row or dict(absent, state="dead"), {port for _, port in ports}


def _foreign_ingress_claims(root: layout.StoreLayout, owner: str) -> list[claims.Claim]:
    """What the ingress of another fleet holds."""
    from ..ingress import ingress_status

    return ingress_status.port_claims(root, owner)


def _namesakes(root: layout.StoreLayout, owner: str, mark: str, notes: guarded_read.Notes) -> list[str]:
    """Other fleets of the same mark: another id, so not ours."""
    namesakes = []
    for other_owner in root.owners():
        path = root.fleet(other_owner) + "/fleet.json"
        fleet_info = guarded_read.read_or_note(notes, guarded_read.read_object, path) or {}
        if other_owner != owner and mark and fleet_info.get("mark") == mark:
            namesakes.append(other_owner)
    return namesakes


def _volume_rows(root: layout.StoreLayout, owner: str, users: dict[str, str]) -> list[dict[str, Any]]:
    """The fleet's volumes with the instance that names each."""
    volumes = []
    for name in root.volume_names(owner):
        try:
            size = os.path.getsize(root.volume(owner, name) + "/data")
        except OSError:
            size = 0
        volumes.append({"name": name, "size": size, "used_by": users.get(name, "")})
    return volumes


def _image_digests(root: layout.StoreLayout) -> dict[str, list[str]]:
    """What lies in the store; what is damaged is not there, and told apart."""
    digests = [name for name in guarded_read.list_names(root.images) if len(name) == 64]
    damaged = integrity.find_damaged(root, digests)
    return {"images": [name for name in digests if name not in damaged], "damaged": damaged}


def _last_applied_hosts(root: layout.StoreLayout, owner: str, notes: guarded_read.Notes) -> Any:
    """The hosts of the fleet as last applied, as one text: a thousand hosts say a thousand each."""
    host_texts = _last_applied(root, owner, "hosts", list, notes)
    return None if host_texts is None else "\n".join(map(str, host_texts))


def _last_applied(
    root: layout.StoreLayout, owner: str, name: str, expected_type: type, notes: guarded_read.Notes
) -> Any:
    """``policy`` or ``hosts`` as last applied; None before the first apply, or where the file is damaged."""
    path = f"{root.fleet(owner)}/{name}.json"

    def read() -> Any:
        content = guarded_read.read_json(path)
        if content is None or isinstance(content, expected_type):
            return content
        raise guarded_read.malformed(path, f"the {name} of the last apply")

    return guarded_read.read_or_note(notes, read)
