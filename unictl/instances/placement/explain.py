"""Explains why an instance finds no host, and the smallest change that would help. Pure."""

from collections.abc import Iterator, Mapping

from unictl.fleet.model import MIB, Service
from unictl.instances.desired.instance import DesiredInstance
from unictl.instances.placement.capacity import Need, Shortage
from unictl.instances.placement.constraints import Constraint
from unictl.instances.placement.feasibility import Feasibility
from unictl.instances.placement.host_pool import HostPool
from unictl.instances.placement.shortfall import Shortfall, build_shortfall


def explain_shortfalls(
    host_pool: HostPool, desired: DesiredInstance, feasibility: Feasibility, constraint: Constraint, need: Need
) -> Iterator[Shortfall]:
    """Every host that was thought of, with each dimension in which it falls short."""
    name, service = desired.name, desired.service
    if constraint.conflict:
        yield build_shortfall(name, service, "", "volume", f"{name}: {constraint.conflict}")
        return
    hosts = (constraint.host,) if constraint.volume else (*feasibility.allowed, *feasibility.excluded)
    for host in hosts:
        yield from _host_shortfalls(host_pool, desired, feasibility, constraint, need, host)
    if not hosts:
        selector = host_pool.fleet.services[service].placement.hosts
        text = f"placement.hosts {selector!r} selects no host" if selector else "the fleet has no host"
        yield build_shortfall(name, service, "", "hosts", f"{name}: {text}")


def _host_shortfalls(
    host_pool: HostPool,
    desired: DesiredInstance,
    feasibility: Feasibility,
    constraint: Constraint,
    need: Need,
    host: str,
) -> Iterator[Shortfall]:
    service = host_pool.fleet.services[desired.service]
    if host not in feasibility.members:
        yield _excluded_shortfall(desired, feasibility, constraint, host)
        return
    for shortage in host_pool.capacities[host].shortages(need, service.placement.cpu_ratio):
        text = _shortage_text(desired, host, shortage)
        yield build_shortfall(
            desired.name, service.name, host, shortage.dimension, text, need=shortage.need, free=shortage.free
        )
    conflicting = host_pool.conflicting_service(service.name, host)
    if conflicting:
        text = f"{host} has {conflicting}, which {service.name} must be apart from"
        yield build_shortfall(desired.name, service.name, host, "apart_from", text)


def _excluded_shortfall(
    desired: DesiredInstance, feasibility: Feasibility, constraint: Constraint, host: str
) -> Shortfall:
    exclusion = feasibility.excluded.get(host)
    reason = exclusion.text if exclusion else "is not among placement.hosts"
    suffix = f", where volume {constraint.volume} is, and volumes never move by themselves" if constraint.volume else ""
    dimension = exclusion.dimension if exclusion else "hosts"
    return build_shortfall(desired.name, desired.service, host, dimension, f"{host} {reason}{suffix}")


def _shortage_text(desired: DesiredInstance, host: str, shortage: Shortage) -> str:
    need, free = format_amounts(shortage)
    breakdown = f" ({format_mebibytes(desired.memory)} and {format_mebibytes(desired.overhead)} for its hypervisor)"
    is_whole_memory = shortage.dimension == "memory" and shortage.need == desired.memory + desired.overhead
    explanation = breakdown if is_whole_memory else ""
    return f"{host} has {free} {_UNITS[shortage.dimension]} free, {desired.name} needs {need}{explanation}"


_UNITS: Mapping[str, str] = {
    "memory": "of memory",
    "cpus": "cpus (times cpu_ratio)",
    "disk": "of disk",
    "ports": "ports for forwards",
}


def format_amounts(shortage: Shortage) -> tuple[str, str]:
    """(need, free) as people write them: need rounded up and free rounded down, so that the two never look equal."""
    if shortage.dimension in ("memory", "disk"):
        return format_mebibytes(shortage.need), f"{shortage.free // MIB}MiB"
    return str(shortage.need), str(shortage.free)


def format_mebibytes(size: int) -> str:
    """``size`` bytes, rounded up to MiB."""
    return f"{-(-size // MIB)}MiB"


def smallest_change(
    host_pool: HostPool, desired: DesiredInstance, feasibility: Feasibility, need: Need, placed: int
) -> str:
    """The smallest change that would place it, in one sentence; empty where no amount is what is missing."""
    service = host_pool.fleet.services[desired.service]
    shortages_by_host = (
        (host, host_pool.capacities[host].shortages(need, service.placement.cpu_ratio)) for host in feasibility.allowed
    )
    short = [
        (host, shortages)
        for host, shortages in shortages_by_host
        if shortages and not host_pool.conflicting_service(service.name, host)
    ]
    if not short:
        return ""
    host, shortages = min(
        short,
        key=lambda pair: (
            len(pair[1]),
            *((shortage.need - shortage.free) / shortage.need for shortage in pair[1]),
            pair[0],
        ),
    )
    fits = f"{placed} of {service.replicas} replicas fit; " if placed else ""
    additional_amounts = " and ".join(map(_additional_amount, shortages))
    memory_hint = _smaller_memory_hint(service, shortages)
    return f"{fits}the nearest for {desired.name} is {host}: {additional_amounts}{memory_hint}"


def _shortage_distance(pair: tuple[str, tuple[Shortage, ...]]) -> tuple[int, float, str]:
    host, shortages = pair
    return len(shortages), sum((shortage.need - shortage.free) / shortage.need for shortage in shortages), host


def _additional_amount(shortage: Shortage) -> str:
    missing = shortage.need - shortage.free
    amount = format_mebibytes(missing) if shortage.dimension in ("memory", "disk") else str(missing)
    return f"{amount} more {_UNITS[shortage.dimension].removeprefix('of ')}"


def _smaller_memory_hint(service: Service, shortages: tuple[Shortage, ...]) -> str:
    remaining = service.memory - sum(shortage.need - shortage.free for shortage in shortages)
    if [shortage.dimension for shortage in shortages] != ["memory"] or remaining < MIB:
        return ""
    return f" there, or memory: {remaining // MIB}MiB for {service.name}"
