"""Makes the steps of one instance, volume or image and adds them to a builder. Pure; knows nothing of waves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unictl.fleet.model import Service
from unictl.fleet.names import declared_volume_name
from unictl.instances.desired.instance import PlacedInstance
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import PlanContext
from unictl.plan.model import step_ids
from unictl.plan.model.payloads import LaunchData, MarksData, RetireData, StageData, StepData, VolumeData
from unictl.plan.model.step import Step, StepId, StepIds, StepKind
from unictl.plan.rollout.builder import StepBuilder, make_step
from unictl.plan.rollout.gate_data import build_health_gate

STOP_GRACE_MS = 10_000
"""How long a guest has to end by itself, in ms, before it is made to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """One file of an image by what it is called in the fleet."""

    image: str
    part: str
    size: int


def image_files(facts: FleetFacts) -> Mapping[str, ImageFile]:
    """Every image file by its digest."""
    return {
        part_facts.sha256: ImageFile(image=image, part=part, size=part_facts.size)
        for image in sorted(facts, reverse=True)
        for part, part_facts in sorted(facts[image].items(), reverse=True)
    }


def add_prerequisites(
    builder: StepBuilder, context: PlanContext, files: Mapping[str, ImageFile], placed: PlacedInstance
) -> StepIds:
    """What must lie on the host before ``placed`` is launched there: images it lacks, volumes that nobody has."""
    run = placed.document.get("run", {})
    missing_digests = [digest for digest in run.get("images", ()) if digest not in context.surveys[placed.host].images]
    missing_volumes = sorted(name for name in placed.desired.volumes.values() if name not in context.volume_hosts)
    return (
        *(
            builder.add(stage_step(files, placed.host, digest, _similar_images(context, placed, run)))
            for digest in missing_digests
        ),
        *(_add_volume(builder, context, placed, name) for name in missing_volumes),
    )


def _similar_images(context: PlanContext, placed: PlacedInstance, run: Mapping[str, Any]) -> list[str]:
    """Images on the host that a new one may resemble: those its service runs from there now."""
    survey = context.surveys[placed.host]
    running_digests = {
        digest for live in survey.instances if live.service == placed.desired.service for digest in live.images
    }
    return sorted((running_digests & survey.images) - set(run.get("images", ())))


def stage_step(files: Mapping[str, ImageFile], host: str, digest: str, similar: Sequence[str] = ()) -> Step:
    """Bring an image to a host."""
    file = files.get(digest)
    subject = f"{file.image}.{file.part}" if file else digest[:12]
    data = StageData(digest=digest, size=file.size if file else 0, similar_digests=tuple(similar))
    return make_step(step_ids.stage_id(host, digest), StepKind.STAGE, host, (), data, subject=subject)


def _add_volume(builder: StepBuilder, context: PlanContext, placed: PlacedInstance, name: str) -> StepId:
    data = VolumeData(volume=name, size=volume_size(context, placed.desired.service, name))
    subject = f"volume:{name}"
    return builder.add(
        make_step(
            step_ids.step_id(StepKind.VOLUME, placed.host, name),
            StepKind.VOLUME,
            placed.host,
            (),
            data,
            subject=subject,
            service=placed.desired.service,
        )
    )


def volume_size(context: PlanContext, service: str, name: str) -> int:
    """Bytes of a volume of that name: replicas of ``orders`` have ``orders-0`` and on."""
    declared = context.fleet.services[service].volumes.values() if service in context.fleet.services else ()
    base = declared_volume_name(name, declared)
    return context.fleet.volumes[base].size if base in context.fleet.volumes else 0


def add_launch(builder: StepBuilder, placed: PlacedInstance, wave: int, needs: Iterable[StepId]) -> StepId:
    """Start a guest."""
    data = LaunchData(document=placed.document, secrets=tuple(placed.document.get("run", {}).get("secrets", ())))
    return builder.add(_instance_step(step_ids.launch_id(placed.key), StepKind.LAUNCH, placed, wave, needs, data))


def add_health_gate(
    builder: StepBuilder, service: Service, placed: PlacedInstance, wave: int, needs: Iterable[StepId]
) -> StepId:
    """Wait until it is healthy; of a job, until it has ended well."""
    return builder.add(
        _instance_step(
            step_ids.health_gate_id(placed.key),
            StepKind.PROVE,
            placed,
            wave,
            needs,
            build_health_gate(service, placed.key, placed.forwards),
        )
    )


def _instance_step(
    step_id: StepId,
    kind: StepKind,
    placed: PlacedInstance,
    wave: int,
    needs: Iterable[StepId],
    data: StepData,
) -> Step:
    service = placed.desired.service
    return make_step(step_id, kind, placed.host, needs, data, subject=placed.key, service=service, wave=wave)


def add_retirement(
    builder: StepBuilder, context: PlanContext, live: LiveInstance, service: str, wave: int, needs: Iterable[StepId]
) -> StepId:
    """Take a generation down."""
    host = context.fleet.hosts.get(live.host)
    data = RetireData(key=live.key, grace=STOP_GRACE_MS, keep=host.keep.retired if host else 5)
    step_id = builder.unused_id(step_ids.retire_id(live.key), live.host)
    return builder.add(
        make_step(step_id, StepKind.RETIRE, live.host, needs, data, subject=live.key, service=service, wave=wave)
    )


def add_mark(builder: StepBuilder, live: LiveInstance, *, protect: bool, checks: Sequence[str] | None = None) -> StepId:
    """Note on a record what may change of it."""
    data = MarksData(
        key=live.key, protect=protect, commit=live.commit, checks=None if checks is None else tuple(checks)
    )
    return builder.add(
        make_step(
            step_ids.step_id(StepKind.MARK, live.key),
            StepKind.MARK,
            live.host,
            (),
            data,
            subject=f"marks:{live.name}",
            service=live.service,
        )
    )
