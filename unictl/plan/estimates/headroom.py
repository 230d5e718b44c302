"""Lower bound of free memory, cpus and disk per host during a rollout. Pure.

Step order is not fixed, so two safe estimates are made and the larger (tighter) one is reported: what placement
left after counting every wave twice, and what is free now minus everything this plan launches.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from unictl.instances.placement.capacity import HostCapacity, free_memory, instance_memory
from unictl.plan.context.context import PlanContext
from unictl.plan.model.step import Step, StepKind

HEADROOM_FIELDS = ("memory", "of", "cpus", "cores", "disk")


def compute_headroom(
    context: PlanContext, remaining: Mapping[str, HostCapacity], steps: Iterable[Step]
) -> Mapping[str, Mapping[str, int]]:
    """host -> {memory, of, cpus, cores, disk} of the hosts where something is launched, retired or given a volume.

    ``failed_rollouts``: bytes free of ``of``, which is what the fleet may have there in all: never less is free; below
    0 where more is promised already. ``cpus``: promised, of ``cores``. ``disk``: bytes free beside the volumes that
    are made.
    """
    steps_by_host: defaultdict[str, list[Step]] = defaultdict(list)
    for step in steps:
        if step.traits.moves_capacity:
            steps_by_host[step.host].append(step)
    return {
        host: _host_headroom(context, remaining[host], host, steps_by_host[host])
        for host in sorted(steps_by_host.keys() & remaining.keys())
    }


def _host_headroom(
    context: PlanContext, remaining: HostCapacity, host: str, steps: Iterable[Step]
) -> Mapping[str, int]:
    survey = context.surveys[host]
    total_memory = free_memory(context.fleet.hosts[host], survey)
    memory, cpus, disk = (
        total_memory - sum(map(instance_memory, survey.instances)),
        sum(instance.cpus for instance in survey.instances),
        survey.disk_free,
    )
    for step in steps:
        if step.kind is StepKind.LAUNCH:
            run = step.data["document"]["run"]
            memory, cpus = memory - run["memory"] - run["overhead"], cpus + run["cpus"]
        elif step.kind is StepKind.VOLUME:
            disk -= step.data["size"]
    values = (
        max(memory, remaining.memory),
        total_memory,
        min(cpus, remaining.cpus),
        remaining.cores,
        max(disk, remaining.disk),
    )
    return dict(zip(HEADROOM_FIELDS, values, strict=True))
