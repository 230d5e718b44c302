"""The live state that a fleet file implies: every instance runs where it is placed. No host is asked. Pure.

Whatever is not declared is assumed to suffice: a host without a declared capacity has enough, and can run
everything its services need. Images count by what the fleet file says of them if nothing else is known.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from unictl.fleet.model import Fleet, Host
from unictl.hypervisors.drivers import DRIVERS
from unictl.instances.desired.fingerprint import generation
from unictl.instances.desired.instance import DesiredInstance, hypervisor_for
from unictl.instances.observed.host_state import LiveInstance, LiveState, LiveVolume, Survey
from unictl.instances.observed.survey_facts import HypervisorProgram
from unictl.instances.placement.capacity import volume_sizes
from unictl.instances.placement.place import Placement, place

UNLIMITED_BYTES = 1 << 50
"""Bytes of a host that declares none."""
_UNLIMITED_CPUS = 1 << 20


def converged_world(fleet: Fleet, desired: Iterable[DesiredInstance]) -> tuple[LiveState, Placement]:
    """The converged world of ``desired``, and how they were placed on empty hosts; what found no place is not there."""
    desired = tuple(desired)
    empty_surveys = {name: _assumed_survey(fleet, host) for name, host in fleet.hosts.items() if not host.lost}
    placement = place(fleet, desired, empty_surveys)
    by_host: defaultdict[str, list[DesiredInstance]] = defaultdict(list)
    for instance in desired:
        if instance.name in placement.hosts:
            by_host[placement.hosts[instance.name]].append(instance)
    return {
        name: _survey_with_instances(fleet, survey, by_host[name]) for name, survey in empty_surveys.items()
    }, placement


def hosts_without_memory(fleet: Fleet) -> tuple[str, ...]:
    """The hosts that are assumed to have enough memory, since they declare none."""
    return tuple(sorted(name for name, host in fleet.hosts.items() if host.memory is None and not host.lost))


def _assumed_survey(fleet: Fleet, host: Host) -> Survey:
    hypervisors = {*DRIVERS, *(hypervisor_for(service) for service in fleet.services.values())}
    return Survey(
        host=host.name,
        host_id=host.name,
        boot_id="",
        clock=0.0,
        root="",
        memory=host.memory or UNLIMITED_BYTES,
        memory_free=host.memory or UNLIMITED_BYTES,
        cpus=host.cpus or _UNLIMITED_CPUS,
        disk_free=UNLIMITED_BYTES,
        hypervisors={name: HypervisorProgram() for name in sorted(hypervisors)},
        retired={},
        ingress={"state": "running" if host.ingress else "absent", "hash": ""},
    )


def _survey_with_instances(fleet: Fleet, survey: Survey, placed: Iterable[DesiredInstance]) -> Survey:
    instances = tuple(_running_instance(survey.host, instance) for instance in placed)
    users = {name: live.key for live in instances for name in live.volumes}
    sizes = {name: size for instance in placed for name, size in volume_sizes(fleet, instance)}
    volumes = tuple(LiveVolume(name=name, size=sizes[name], used_by=users[name]) for name in sorted(sizes))
    return replace(survey, instances=instances, volumes=volumes)


def _running_instance(host: str, desired: DesiredInstance) -> LiveInstance:
    return LiveInstance(
        name=desired.name,
        generation=generation(desired.fingerprint, 1),
        service=desired.service,
        ordinal=desired.ordinal,
        launch=1,
        fingerprint=desired.fingerprint,
        state="running",
        host=host,
        protect=desired.protect,
        memory=desired.memory,
        overhead=desired.overhead,
        cpus=desired.cpus,
        volumes=tuple(desired.volumes.values()),
        spec=desired.spec,
        starts=1,
    )
