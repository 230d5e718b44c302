"""Runs one step of a plan as one call on a host. Nothing is decided here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import Failure
from unictl.hosts.host import Host as Connection
from unictl.hosts.host import HostProblem
from unictl.journal.report import ALREADY
from unictl.plan.model.step import Kind, Step
from unictl.secrets.secret_values import Value
from unictl.views.text.units import amount

Opener = Callable[[str], BinaryIO]
"""Digest -> its bytes, opened for reading; Failure where they are nowhere."""


CONSOLE = ", its console last said:\n"
"""What the host side puts between why something is not healthy and what it printed."""
NOT_THERE = "it was not there"
"""What is said of a generation that was to be taken down and is gone."""


class Unhealthy(HostProblem):
    """A gate said no: the guest was asked, or watched, and is not as it has to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What acting needs besides a connection: the fleet's owner, image bytes, secret values, where progress goes."""

    owner: str
    open_image: Opener
    secrets: Mapping[str, Value]
    progress: Callable[[Step, int, int], None]


async def act(step: Step, host: Connection, tools: Tools) -> str:
    """Carries out one step other than launch, join and leave (those are done together with their like).

    A few words on how it went; a Failure where it did not.
    """
    data, owner = step.data, tools.owner
    match step.kind:
        case Kind.STAGE:
            return await _stage(step, host, tools)
        case Kind.VOLUME:
            await host.volume(owner, "create", data["volume"], data["size"])
        case Kind.DELETE:
            await host.volume(owner, "delete", data["volume"], 0)
        case Kind.PROVE:
            return await _prove(step, host, owner)
        case Kind.MARK:
            await host.mark(owner, data["key"], {k: data[k] for k in ("protect", "commit", "checks") if k in data})
        case Kind.RETIRE:
            there = await host.retire(owner, data["key"], data.get("grace", 0), data.get("keep", 5))
            return "" if there else NOT_THERE
        case Kind.REMEMBER:
            await host.remember(owner, data["policy"], data["hosts"], data.get("fleet"))
        case Kind.CLOSE:
            await host.ingress(owner, "", "", 0)
            await host.collect(owner, keep_retired=data.get("keep", 5), end=True)
        case _:
            raise AssertionError(f"{step.kind} is not done alone")
    return ""


async def _stage(step: Step, host: Connection, tools: Tools) -> str:
    digest, size = step.data["digest"], step.data["size"]
    sent = await host.stage(
        tools.owner,
        digest,
        size,
        lambda: tools.open_image(digest),
        lambda done: tools.progress(step, done, size),
        step.data.get("like", ()),
    )
    return ALREADY if sent is None else f"{amount(size)}, {amount(sent)} sent"


async def _prove(step: Step, host: Connection, owner: str) -> str:
    data = step.data
    times = (data["min_healthy_time"], data["healthy_deadline"])
    answer = await host.prove(owner, data["key"], data["probes"], *times, job=data.get("job", False))
    if not answer["healthy"]:
        why, _, console = str(answer["why"]).partition(CONSOLE)
        problem = Unhealthy(step.host, "failed", why, hint=f"unictl logs {step.subject.partition('.')[0]} -previous")
        problem.detail = f"its console last said:\n{console}" if console else ""
        raise problem
    await host.mark(owner, data["key"], {"proven": True, "checks": [probe["kind"] for probe in data["probes"]]})
    return f"after {answer['took']} ms"


async def launch(steps: list[Step], host: Connection, tools: Tools) -> dict[str, Diagnostic | None]:
    """Starts several instances of one host in one message: step id -> its problem, None where it runs."""
    documents = [step.data["document"] for step in steps]
    names = sorted({name for document in documents for name in document["run"]["secrets"]})
    secrets = {name: tools.secrets[name].reveal() for name in names}
    outcomes = {row["key"]: row for row in await host.launch(tools.owner, documents, secrets)}
    return {step.id: _problem(step, outcomes) for step in steps}


def _problem(step: Step, outcomes: Mapping[str, Mapping[str, object]]) -> Diagnostic | None:
    document = step.data["document"]
    row = outcomes.get(f"{document['name']}.{document['generation']}", {})
    if row.get("ok"):
        return None
    problem = row.get("problem")
    said = problem if isinstance(problem, Mapping) else {}
    return Diagnostic(
        code=f"host-{said.get('kind', 'failed')}",
        summary=f"{step.subject} on {step.host}: {said.get('text', 'it was not started')}",
        hint=str(said.get("hint", "")),
    )


def local_images(sources: Mapping[str, Path]) -> Opener:
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
