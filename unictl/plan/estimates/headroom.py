"""Lower bound of free memory, cpus and disk per host during a rollout. Pure.

Step order is not fixed, so two safe estimates are made and the larger (tighter) one is reported: what placement
left
after counting every wave twice, and what is free now minus everything this plan launches.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from unictl.instances.placement.capacity import Room, free_memory, held_memory
from unictl.plan.context.context import Situation
from unictl.plan.model.step import Kind, Step

AMOUNTS = ("memory", "of", "cpus", "cores", "disk")
_MOVING = (Kind.LAUNCH, Kind.RETIRE, Kind.VOLUME)


def tightest(s: Situation, left: Mapping[str, Room], steps: Iterable[Step]) -> Mapping[str, Mapping[str, int]]:
    """host -> {memory, of, cpus, cores, disk} of the hosts where something is launched, retired or given a volume.

    ``memory``: bytes free of ``of``, which is what the fleet may have there in all: never less is free; below 0 where
    more is promised already. ``cpus``: promised, of ``cores``. ``disk``: bytes free beside the volumes that are made.
    """
    touched: defaultdict[str, list[Step]] = defaultdict(list)
    for step in steps:
        if step.kind in _MOVING:
            touched[step.host].append(step)
    return {host: _amounts(s, left[host], host, touched[host]) for host in sorted(touched.keys() & left.keys())}


def _amounts(s: Situation, left: Room, host: str, steps: Iterable[Step]) -> Mapping[str, int]:
    said = s.answered[host]
    of = free_memory(s.fleet.hosts[host], said)
    memory, cpus, disk = of - sum(map(held_memory, said.instances)), sum(i.cpus for i in said.instances), said.disk_free
    for step in steps:
        if step.kind is Kind.LAUNCH:
            run = step.data["document"]["run"]
            memory, cpus = memory - run["memory"] - run["overhead"], cpus + run["cpus"]
        elif step.kind is Kind.VOLUME:
            disk -= step.data["size"]
    told = (max(memory, left.memory), of, min(cpus, left.cpus), left.cores, max(disk, left.disk))
    return dict(zip(AMOUNTS, told, strict=True))
