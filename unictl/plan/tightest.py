"""What is free on each host at the tightest moment of a rollout: what placement left there. Pure."""

from collections.abc import Iterable, Mapping

from unictl.instances.capacity import Room, free_memory
from unictl.plan.situation import Situation
from unictl.plan.step import Kind, Step

AMOUNTS = ("memory", "of", "cpus", "cores", "disk")
_MOVING = (Kind.LAUNCH, Kind.RETIRE, Kind.VOLUME)


def tightest(s: Situation, left: Mapping[str, Room], steps: Iterable[Step]) -> Mapping[str, Mapping[str, int]]:
    """host -> {memory, of, cpus, cores, disk} of the hosts where something is launched, retired or given a volume.

    ``memory``: bytes free of ``of``, which is what the fleet may have there in all: never less is free, whatever order
    the steps come in; below 0 where more is promised already. ``cpus``: promised, of ``cores``. ``disk``: bytes free
    beside the volumes that are made.
    """
    touched = {each.host for each in steps if each.kind in _MOVING}
    return {host: _amounts(s, host, left[host]) for host in sorted(touched & left.keys())}


def _amounts(s: Situation, host: str, left: Room) -> Mapping[str, int]:
    of = free_memory(s.fleet.hosts[host], s.answered[host])
    return dict(zip(AMOUNTS, (left.memory, of, left.cpus, left.cores, left.disk), strict=True))
