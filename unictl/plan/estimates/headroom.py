"""Lower bound of free memory, cpus and disk per host during a rollout. Pure.

Step order is not fixed, so two safe estimates are made and the larger (tighter) one is reported: what placement
left after counting every wave twice, and what is free now minus everything this plan launches.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from unictl.instances.placement.capacity import HostCapacity, free_memory, instance_memory
from unictl.plan.context.context import PlanContext
from unictl.plan.model.payloads import LaunchData, VolumeData
from unictl.plan.model.plan_host import Headroom
from unictl.plan.model.step import Step


def compute_headroom(
    context: PlanContext, remaining: Mapping[str, HostCapacity], steps: Iterable[Step]
) -> Mapping[str, Headroom]:
    """By host, of those where something is launched, retired or given a volume."""
    steps_by_host: defaultdict[str, list[Step]] = defaultdict(list)
    for step in steps:
        if step.traits.moves_capacity:
            steps_by_host[step.host].append(step)
    return {
        host: _host_headroom(context, remaining[host], host, steps_by_host[host])
        for host in sorted(steps_by_host.keys() & remaining.keys())
    }


def _host_headroom(context: PlanContext, remaining: HostCapacity, host: str, steps: Iterable[Step]) -> Headroom:
    survey = context.surveys[host]
    total_memory = free_memory(context.fleet.hosts[host], survey)
    memory, cpus, disk = (
        total_memory - sum(map(instance_memory, survey.instances)),
        sum(instance.cpus for instance in survey.instances),
        survey.disk_free,
    )
    for step in steps:
        if isinstance(step.data, LaunchData):
            run = step.data.document["run"]
            memory, cpus = memory - run["memory"] - run["overhead"], cpus + run["cpus"]
        elif isinstance(step.data, VolumeData):
            disk -= step.data.size
    return Headroom(
        memory=max(memory, remaining.memory),
        total_memory=total_memory,
        cpus=min(cpus, remaining.cpus),
        cores=remaining.cores,
        disk=max(disk, remaining.disk),
    )
