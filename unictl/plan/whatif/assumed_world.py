"""The live state that a fleet file implies: every instance runs where it is placed. No host is asked. Pure.

Whatever is not declared is assumed to suffice: a host without a declared capacity has enough, and can run
everything
its services need. Images count by what the fleet file says of them if nothing else is known.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from unictl.fleet.model import Fleet, Host
from unictl.hypervisors.drivers import DRIVERS
from unictl.instances.desired.fingerprint import generation
from unictl.instances.desired.instance import Wished, hypervisor_of
from unictl.instances.observed.host_state import LiveInstance, LiveVolume, Survey, World
from unictl.instances.placement.capacity import volume_sizes
from unictl.instances.placement.place import Placement, place

AMPLE = 1 << 50
"""Bytes of a host that declares none."""
_CPUS = 1 << 20


def assumed(fleet: Fleet, wished: Iterable[Wished]) -> tuple[World, Placement]:
    """The converged world of ``wished``, and how they were placed on empty hosts; what found no place is not there."""
    wished = tuple(wished)
    empty = {name: _host(fleet, host) for name, host in fleet.hosts.items() if not host.lost}
    placement = place(fleet, wished, empty)
    there: defaultdict[str, list[Wished]] = defaultdict(list)
    for each in wished:
        if each.name in placement.hosts:
            there[placement.hosts[each.name]].append(each)
    return {name: _full(fleet, said, there[name]) for name, said in empty.items()}, placement


def undeclared(fleet: Fleet) -> tuple[str, ...]:
    """The hosts that are assumed to have enough memory, since they declare none."""
    return tuple(sorted(name for name, host in fleet.hosts.items() if host.memory is None and not host.lost))


def _host(fleet: Fleet, host: Host) -> Survey:
    able = {*DRIVERS, *(hypervisor_of(each) for each in fleet.services.values())}
    return Survey(
        host=host.name,
        host_id=host.name,
        boot_id="",
        clock=0.0,
        root="",
        memory=host.memory or AMPLE,
        memory_free=host.memory or AMPLE,
        cpus=host.cpus or _CPUS,
        disk_free=AMPLE,
        hypervisors={name: {} for name in sorted(able)},
        retired={},
        ingress={"state": "running" if host.ingress else "absent", "hash": ""},
    )


def _full(fleet: Fleet, said: Survey, there: Iterable[Wished]) -> Survey:
    instances = tuple(_live(said.host, each) for each in there)
    users = {name: live.key for live in instances for name in live.volumes}
    sizes = {name: size for each in there for name, size in volume_sizes(fleet, each)}
    volumes = tuple(LiveVolume(name=name, size=sizes[name], used_by=users[name]) for name in sorted(sizes))
    return replace(said, instances=instances, volumes=volumes)


def _live(host: str, wished: Wished) -> LiveInstance:
    return LiveInstance(
        name=wished.name,
        generation=generation(wished.fingerprint, 1),
        service=wished.service,
        ordinal=wished.ordinal,
        launch=1,
        fingerprint=wished.fingerprint,
        state="running",
        host=host,
        protect=wished.protect,
        memory=wished.memory,
        overhead=wished.overhead,
        cpus=wished.cpus,
        volumes=tuple(wished.volumes.values()),
        spec=wished.spec,
        starts=1,
    )
