"""Runs one step of a plan as one call on a host. Nothing is decided here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import Failure
from unictl.hosts.connection import HostConnection
from unictl.hosts.host_failures import HostFailure
from unictl.hosts.replies import LaunchOutcome
from unictl.journal.report import ALREADY_PRESENT
from unictl.plan.model.payloads import (
    DeleteData,
    GateData,
    LaunchData,
    MarksData,
    RememberData,
    RetireData,
    StageData,
    VolumeData,
)
from unictl.plan.model.step import Step, StepKind
from unictl.secrets.secret_values import SecretValue
from unictl.views.text.units import byte_size

ImageOpener = Callable[[str], BinaryIO]
"""Digest -> its bytes, opened for reading; Failure where they are nowhere."""


ALREADY_GONE = "it was not there"
"""What is said of a generation that was to be taken down and is gone."""


class UnhealthyFailure(HostFailure):
    """A gate said no: the guest was asked, or watched, and is not as it has to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What acting needs besides a connection: the fleet's owner, image bytes, secret values, where progress goes."""

    owner: str
    open_image: ImageOpener
    secrets: Mapping[str, SecretValue]
    progress: Callable[[Step, int, int], None]


async def run_step(step: Step, host: HostConnection, context: StepContext) -> str:
    """Carries out one step other than launch, join and leave (those are done together with their like).

    A few words on how it went; a Failure where it did not.
    """
    owner = context.owner
    match step.data:
        case StageData() as data:
            return await _stage_image(step, data, host, context)
        case VolumeData() as data:
            await host.change_volume(owner, "create", data.volume, data.size)
        case DeleteData() as data:
            await host.change_volume(owner, "delete", data.volume, 0)
        case GateData() as data:
            return await _run_health_gate(step, data, host, owner)
        case MarksData() as data:
            await host.update_marks(owner, data.key, data.marks())
        case RetireData() as data:
            was_present = await host.retire(owner, data.key, data.grace, data.keep)
            return "" if was_present else ALREADY_GONE
        case RememberData() as data:
            await host.record_applied(owner, data.policy, list(data.hosts), data.fleet)
        case None if step.kind is StepKind.CLOSE:
            await host.apply_ingress(owner, "", "", 0)
            await host.collect_garbage(owner, keep_retired=5, ends_fleet=True)
        case _:
            raise AssertionError(f"{step.kind} is not done alone")
    return ""


async def _stage_image(step: Step, data: StageData, host: HostConnection, context: StepContext) -> str:
    digest, size = data.digest, data.size
    sent = await host.stage_image(
        context.owner,
        digest,
        size,
        lambda: context.open_image(digest),
        lambda done_bytes: context.progress(step, done_bytes, size),
        data.similar_digests,
    )
    return ALREADY_PRESENT if sent is None else f"{byte_size(size)}, {byte_size(sent)} sent"


async def _run_health_gate(step: Step, data: GateData, host: HostConnection, owner: str) -> str:
    probes, times = list(data.probes), (data.min_healthy_time, data.healthy_deadline)
    report = await host.await_healthy(owner, data.key, probes, *times, job=data.job)
    if not report.healthy:
        unhealthy = UnhealthyFailure(
            step.host, "failed", report.reason, hint=f"unictl logs {step.subject.partition('.')[0]} -previous"
        )
        unhealthy.detail = f"its console last said:\n{report.console}" if report.console else ""
        raise unhealthy
    await host.update_marks(owner, data.key, {"proven": True, "checks": [probe["kind"] for probe in probes]})
    return f"after {report.took_ms} ms"


async def launch_instances(
    steps: list[Step], host: HostConnection, context: StepContext
) -> dict[str, Diagnostic | None]:
    """Starts several instances of one host in one message: step id -> its problem, None where it runs."""
    documents = [step.data_as(LaunchData).document for step in steps]
    names = sorted({name for document in documents for name in document["run"]["secrets"]})
    secrets = {name: context.secrets[name].reveal() for name in names}
    outcomes = {outcome.key: outcome for outcome in await host.launch(context.owner, documents, secrets)}
    return {step.id: _launch_problem(step, outcomes) for step in steps}


def _launch_problem(step: Step, outcomes: Mapping[str, LaunchOutcome]) -> Diagnostic | None:
    outcome = outcomes.get(step.data_as(LaunchData).key)
    if outcome is None:
        # The host side names every instance of a launch in its reply: one without an outcome was never started.
        return Diagnostic(code="host-failed", summary=f"{step.subject} on {step.host}: it was not started")
    if outcome.failure is None:
        return None
    return Diagnostic(
        code=f"host-{outcome.failure.kind}",
        summary=f"{step.subject} on {step.host}: {outcome.failure.text}",
        hint=outcome.failure.hint,
    )


def local_image_opener(sources: Mapping[str, Path]) -> ImageOpener:
    """Opens image bytes by digest from files of this machine."""

    def open_image(digest: str) -> BinaryIO:
        try:
            return sources[digest].open("rb")
        except OSError as error:
            raise Failure(
                f"the image {sources[digest]} cannot be read any more: {error.strerror}",
                hint="it was there when the plan was made: build it again, or plan again",
            ) from None

    return open_image
