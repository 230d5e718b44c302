"""The images and volumes in the stores of a fleet's hosts. Read-only."""

from collections.abc import Mapping
from typing import Any

from unictl.hosts.store_inventory import StoredVolume, StoreInventory
from unictl.instances.desired.instance import desired_instances
from unictl.instances.observed.host_state import LiveInstance, LiveState, Survey
from unictl.operations.planning.fleet_files import PreparedFleet
from unictl.operations.planning.prepare_readonly import prepare_readonly
from unictl.operations.request import FleetRequest

FORMAT_VERSION = "1.0"


def list_images(request: FleetRequest, *, check: bool = False) -> dict[str, Any]:
    """Every image on every host: what it is called here, who uses it, for which revisions it is kept.

    ``check``: the hosts read every one of them and compare it with its name; the next apply brings what is damaged.
    """
    prepared, world, inventories = _query_inventories(request, check)
    names = _names_by_digest(prepared)
    image_rows = [
        {
            **image.to_json(),
            "host": host,
            "names": names.get(image.digest, []),
            "ours": prepared.fleet.owner in image.owners,
        }
        for host, host_inventory in sorted(inventories.items())
        for image in host_inventory.images
    ]
    return {
        "format_version": FORMAT_VERSION,
        "fleet": prepared.fleet.mark,
        "hosts": _host_rows(world, inventories),
        "images": image_rows,
    }


def list_volumes(request: FleetRequest) -> dict[str, Any]:
    """Every volume of the fleet: where it is, what it takes, who uses it, and what keeps it from being deleted."""
    prepared, world, inventories = _query_inventories(request, False)
    desired = desired_instances(prepared.fleet, prepared.facts)
    declared_volumes = frozenset(name for desired_instance in desired for name in desired_instance.volumes.values())
    volume_rows = []
    for host, host_inventory in sorted(inventories.items()):
        host_survey = world[host]
        live_by_key = {live.key: live for live in host_survey.instances} if isinstance(host_survey, Survey) else {}
        for volume in host_inventory.volumes:
            protection = _protection_reason(volume, live_by_key.get(volume.used_by), declared_volumes)
            volume_rows.append(
                {
                    **volume.to_json(),
                    "host": host,
                    "in_fleet": volume.name in declared_volumes,
                    "protected": protection,
                }
            )
    return {
        "format_version": FORMAT_VERSION,
        "fleet": prepared.fleet.mark,
        "hosts": _host_rows(world, inventories),
        "volumes": volume_rows,
    }


def _query_inventories(
    request: FleetRequest, check: bool
) -> tuple[PreparedFleet, LiveState, Mapping[str, StoreInventory]]:
    # Only here: what reads files alone must not pay for the event loop.
    from unictl.execution import queries
    from unictl.hosts.connector import connect_host

    prepared = prepare_readonly(request)
    world, inventories = queries.store_inventories(prepared.fleet, connect_host, check=check)
    return prepared, world, inventories


def _host_rows(world: LiveState, inventories: Mapping[str, StoreInventory]) -> list[dict[str, Any]]:
    return [
        {"name": name, "reachable": True, "disk_free": inventories[name].disk_free}
        if name in inventories
        else {"name": name, "reachable": False, "why": getattr(host_survey, "reason", "it stopped answering")}
        for name, host_survey in sorted(world.items())
    ]


def _names_by_digest(prepared: PreparedFleet) -> Mapping[str, list[str]]:
    """Digest -> what the lock calls it: ``api.kernel``."""
    names_by_digest: dict[str, list[str]] = {}
    for image, parts in sorted(prepared.facts.items()):
        for part, facts in sorted(parts.items()):
            names_by_digest.setdefault(facts.sha256, []).append(f"{image}.{part}")
    return names_by_digest


def _protection_reason(volume: StoredVolume, live: LiveInstance | None, declared_volumes: frozenset[str]) -> str:
    """What keeps it: in use, or in the fleet file; empty where naming it would delete it."""
    if volume.used_by:
        return f"{volume.used_by} has it" + (", which is protected" if live and live.protect else "")
    return "the fleet file has it" if volume.name in declared_volumes else ""
