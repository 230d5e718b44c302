"""Explains why an instance finds no host, and the smallest change that would help. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from unictl.fleet.model import MIB, Service
from unictl.instances.desired.instance import Wished
from unictl.instances.placement.capacity import Lack, Need
from unictl.instances.placement.constraints import Anchor
from unictl.instances.placement.feasibility import Ground
from unictl.instances.placement.host_pool import Board


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why ``instance`` is not on ``host``.

    ``dimension`` is memory, cpus, disk, ports, apart_from, volume, hosts, or a word of ``grounds.Bar``; ``need`` and
    ``free`` are in bytes for memory and disk, else counts, and 0 where nothing is measured. ``host`` is empty where
    no host is concerned, ``instance`` a service's name where the ingress lacks a port of it.
    """

    instance: str
    host: str
    dimension: str
    need: int = 0
    free: int = 0
    text: str = ""


def refusals(board: Board, wished: Wished, ground: Ground, anchor: Anchor, need: Need) -> Iterator[Refusal]:
    """Every host that was thought of, with each dimension in which it falls short."""
    name = wished.name
    if anchor.trouble:
        yield Refusal(instance=name, host="", dimension="volume", text=f"{name}: {anchor.trouble}")
        return
    hosts = (anchor.host,) if anchor.volume else (*ground.allowed, *ground.barred)
    for host in hosts:
        yield from _on(board, wished, ground, anchor, need, host)
    if not hosts:
        selector = board.fleet.services[wished.service].placement.hosts
        text = f"placement.hosts {selector!r} selects no host" if selector else "the fleet has no host"
        yield Refusal(instance=name, host="", dimension="hosts", text=f"{name}: {text}")


def _on(board: Board, wished: Wished, ground: Ground, anchor: Anchor, need: Need, host: str) -> Iterator[Refusal]:
    service = board.fleet.services[wished.service]
    if host not in ground.members:
        yield _barred(wished, ground, anchor, host)
        return
    for lack in board.rooms[host].lacks(need, service.placement.cpu_ratio):
        text = _lack_text(wished, host, lack)
        yield Refusal(
            instance=wished.name, host=host, dimension=lack.dimension, need=lack.need, free=lack.free, text=text
        )
    other = board.meets(service.name, host)
    if other:
        text = f"{host} has {other}, which {service.name} must be apart from"
        yield Refusal(instance=wished.name, host=host, dimension="apart_from", text=text)


def _barred(wished: Wished, ground: Ground, anchor: Anchor, host: str) -> Refusal:
    bar = ground.barred.get(host)
    why = bar.text if bar else "is not among placement.hosts"
    because = f", where volume {anchor.volume} is, and volumes never move by themselves" if anchor.volume else ""
    dimension = bar.dimension if bar else "hosts"
    return Refusal(instance=wished.name, host=host, dimension=dimension, text=f"{host} {why}{because}")


def _lack_text(wished: Wished, host: str, lack: Lack) -> str:
    need, free = amounts(lack)
    made_of = f" ({mebibytes(wished.memory)} and {mebibytes(wished.overhead)} for its hypervisor)"
    whole = lack.dimension == "memory" and lack.need == wished.memory + wished.overhead
    return f"{host} has {free} {_OF[lack.dimension]} free, {wished.name} needs {need}{made_of if whole else ''}"


_OF: Mapping[str, str] = {
    "memory": "of memory",
    "cpus": "cpus (times cpu_ratio)",
    "disk": "of disk",
    "ports": "ports for forwards",
}


def amounts(lack: Lack) -> tuple[str, str]:
    """(need, free) as people write them: need rounded up and free rounded down, so that the two never look equal."""
    if lack.dimension in ("memory", "disk"):
        return mebibytes(lack.need), f"{lack.free // MIB}MiB"
    return str(lack.need), str(lack.free)


def mebibytes(size: int) -> str:
    """``size`` bytes, rounded up to MiB."""
    return f"{-(-size // MIB)}MiB"


def nearest(board: Board, wished: Wished, ground: Ground, need: Need, placed: int) -> str:
    """The smallest change that would place it, in one sentence; empty where no amount is what is missing."""
    service = board.fleet.services[wished.service]
    rows = ((host, board.rooms[host].lacks(need, service.placement.cpu_ratio)) for host in ground.allowed)
    short = [(host, lacks) for host, lacks in rows if lacks and not board.meets(service.name, host)]
    if not short:
        return ""
    host, lacks = min(
        short, key=lambda row: (len(row[1]), *((lack.need - lack.free) / lack.need for lack in row[1]), row[0])
    )
    fits = f"{placed} of {service.replicas} replicas fit; " if placed else ""
    return f"{fits}the nearest for {wished.name} is {host}: {' and '.join(map(_more, lacks))}{_smaller(service, lacks)}"


def _distance(row: tuple[str, tuple[Lack, ...]]) -> tuple[int, float, str]:
    host, lacks = row
    return len(lacks), sum((lack.need - lack.free) / lack.need for lack in lacks), host


def _more(lack: Lack) -> str:
    missing = lack.need - lack.free
    what = mebibytes(missing) if lack.dimension in ("memory", "disk") else str(missing)
    return f"{what} more {_OF[lack.dimension].removeprefix('of ')}"


def _smaller(service: Service, lacks: tuple[Lack, ...]) -> str:
    rest = service.memory - sum(lack.need - lack.free for lack in lacks)
    if [lack.dimension for lack in lacks] != ["memory"] or rest < MIB:
        return ""
    return f" there, or memory: {rest // MIB}MiB for {service.name}"
