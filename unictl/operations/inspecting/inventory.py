"""The images and volumes in the stores of a fleet's hosts. Read-only."""

from collections.abc import Mapping
from typing import Any

from unictl.fleet.model import Fleet
from unictl.instances.desired.instance import wish
from unictl.instances.observed.host_state import LiveInstance, Survey
from unictl.operations.planning.prepare import Settled
from unictl.operations.planning.prepare_readonly import standing
from unictl.operations.request import FleetRequest

FORMAT_VERSION = "1.0"


def images(request: FleetRequest, *, check: bool = False) -> dict[str, Any]:
    """Every image on every host: what it is called here, who uses it, for which revisions it is kept.

    ``check``: the hosts read every one of them and compare it with its name; the next apply brings what is damaged.
    """
    settled, world, found = _asked(request, check)
    names = _names(settled)
    rows = [
        {**row, "host": host, "names": names.get(row["digest"], []), "ours": _ours(settled.fleet, row)}
        for host, told in sorted(found.items())
        for row in told["images"]
    ]
    return {
        "format_version": FORMAT_VERSION,
        "fleet": settled.fleet.mark,
        "hosts": _hosts(world, found),
        "images": rows,
    }


def volumes(request: FleetRequest) -> dict[str, Any]:
    """Every volume of the fleet: where it is, what it takes, who uses it, and what keeps it from being deleted."""
    settled, world, found = _asked(request, False)
    wished = wish(settled.fleet, settled.facts)
    wanted = frozenset(name for each in wished for name in each.volumes.values())
    rows = []
    for host, told in sorted(found.items()):
        said = world[host]
        lives = {live.key: live for live in said.instances} if isinstance(said, Survey) else {}
        for row in told["volumes"]:
            safe = _protected(row, lives.get(row["used_by"]), wanted)
            rows.append({**row, "host": host, "in_fleet": row["name"] in wanted, "protected": safe})
    return {
        "format_version": FORMAT_VERSION,
        "fleet": settled.fleet.mark,
        "hosts": _hosts(world, found),
        "volumes": rows,
    }


def _asked(request: FleetRequest, check: bool) -> tuple[Settled, Mapping[str, Any], Mapping[str, Any]]:
    # Only here: what reads files alone must not pay for the event loop.
    from unictl.execution import queries
    from unictl.hosts.connector import connect

    settled = standing(request)
    world, found = queries.inventories(settled.fleet, connect, check=check)
    return settled, world, found


def _hosts(world: Mapping[str, Any], found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "reachable": True, "disk_free": found[name]["disk_free"]}
        if name in found
        else {"name": name, "reachable": False, "why": getattr(said, "why", "it stopped answering")}
        for name, said in sorted(world.items())
    ]


def _names(settled: Settled) -> Mapping[str, list[str]]:
    """Digest -> what the lock calls it: ``api.kernel``."""
    found: dict[str, list[str]] = {}
    for image, parts in sorted(settled.facts.items()):
        for part, facts in sorted(parts.items()):
            found.setdefault(facts.sha256, []).append(f"{image}.{part}")
    return found


def _ours(fleet: Fleet, row: Mapping[str, Any]) -> bool:
    return any(each["owner"] == fleet.owner for each in (*row["used"], *row["kept"]))


def _protected(row: Mapping[str, Any], live: LiveInstance | None, wanted: frozenset[str]) -> str:
    """What keeps it: in use, or in the fleet file; empty where naming it would delete it."""
    if row["used_by"]:
        return f"{row['used_by']} has it" + (", which is protected" if live and live.protect else "")
    return "the fleet file has it" if row["name"] in wanted else ""
