"""Makes the steps of one instance, volume or image and adds them to a builder. Pure; knows nothing of waves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unictl.fleet.model import Probe, Service
from unictl.instances.desired.instance import Located
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import Situation
from unictl.plan.model.step import Kind, Step
from unictl.plan.rollout.builder import Draft, Ids, step

GRACE = 10_000
"""How long a guest has to end by itself, in ms, before it is made to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of an image by what it is called in the fleet."""

    image: str
    part: str
    size: int


def files(facts: FleetFacts) -> Mapping[str, File]:
    """Every image file by its digest."""
    return {
        each.sha256: File(image=image, part=part, size=each.size)
        for image in sorted(facts, reverse=True)
        for part, each in sorted(facts[image].items(), reverse=True)
    }


def brought(draft: Draft, s: Situation, known: Mapping[str, File], new: Located) -> Ids:
    """What must lie on the host before ``new`` is launched there: images it lacks, volumes that nobody has."""
    run = new.document.get("run", {})
    missing = [sha for sha in run.get("images", ()) if sha not in s.answered[new.host].images]
    absent = sorted(name for name in new.wished.volumes.values() if name not in s.volumes)
    return (
        *(draft.add(stage(known, new.host, sha, _alike(s, new, run))) for sha in missing),
        *(_volume(draft, s, new, name) for name in absent),
    )


def _alike(s: Situation, new: Located, run: Mapping[str, Any]) -> list[str]:
    """Images on the host that a new one may resemble: those its service runs from there now."""
    said = s.answered[new.host]
    runs = {sha for live in said.instances if live.service == new.wished.service for sha in live.images}
    return sorted((runs & said.images) - set(run.get("images", ())))


def stage(known: Mapping[str, File], host: str, digest: str, like: Sequence[str] = ()) -> Step:
    """Bring an image to a host."""
    file = known.get(digest)
    subject = f"{file.image}.{file.part}" if file else digest[:12]
    data: dict[str, Any] = {"digest": digest, "size": file.size if file else 0}
    if like:
        data["like"] = list(like)
    return step(f"stage:{host}:{digest[:16]}", Kind.STAGE, host, (), data, subject=subject)


def _volume(draft: Draft, s: Situation, new: Located, name: str) -> str:
    data = {"volume": name, "size": volume_size(s, new.wished.service, name)}
    subject = f"volume:{name}"
    return draft.add(
        step(f"volume:{new.host}:{name}", Kind.VOLUME, new.host, (), data, subject=subject, service=new.wished.service)
    )


def volume_size(s: Situation, service: str, name: str) -> int:
    """Bytes of a volume of that name: replicas of ``orders`` have ``orders-0`` and on."""
    declared = s.fleet.services[service].volumes.values() if service in s.fleet.services else ()
    base = name if name in declared else name.rpartition("-")[0]
    return s.fleet.volumes[base].size if base in s.fleet.volumes else 0


def launch(draft: Draft, new: Located, wave: int, needs: Iterable[str]) -> str:
    """Start a guest."""
    data = {"document": new.document, "secrets": list(new.document.get("run", {}).get("secrets", ()))}
    return draft.add(_own(f"launch:{new.key}", Kind.LAUNCH, new, wave, needs, data))


def prove(draft: Draft, service: Service, new: Located, wave: int, needs: Iterable[str]) -> str:
    """Wait until it is healthy; of a job, until it has ended well."""
    return draft.add(_own(f"prove:{new.key}", Kind.PROVE, new, wave, needs, proof(service, new.key, new.forwards)))


def proof(service: Service, key: str, forwards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What an instance has to pass, with these forwards."""
    probes = service.health
    data: dict[str, Any] = {
        "key": key,
        "probes": [asked(probe, forwards) for probe in probes],
        "min_healthy_time": max((p.min_healthy_time for p in probes), default=_BARE.min_healthy_time),
        "healthy_deadline": max((p.healthy_deadline for p in probes), default=_BARE.healthy_deadline),
    }
    if service.kind == "job":
        data |= {"job": True, "healthy_deadline": service.update.progress_deadline}
    return data


_BARE = Probe(kind="process")


def _own(id: str, kind: Kind, new: Located, wave: int, needs: Iterable[str], data: Mapping[str, Any]) -> Any:  # noqa: A002
    return step(id, kind, new.host, needs, data, subject=new.key, service=new.wished.service, wave=wave)


def asked(probe: Probe, forwards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A probe as the host asks it: of the forwarded port."""
    asked = {
        "kind": probe.kind,
        "path": probe.path,
        "send": probe.send,
        "expect": probe.expect,
        "pattern": probe.pattern,
        "interval": probe.interval,
        "timeout": probe.timeout,
    }
    if probe.kind == "console":
        return asked
    named = [f for f in forwards if not f.get("udp") and probe.port in ("", f.get("name"))]
    return {**asked, "port": int(named[0]["host"]), "bind": str(named[0].get("bind", ""))} if named else asked


def retire(draft: Draft, s: Situation, live: LiveInstance, service: str, wave: int, needs: Iterable[str]) -> str:
    """Take a generation down."""
    host = s.fleet.hosts.get(live.host)
    data = {"key": live.key, "grace": GRACE, "keep": host.keep.retired if host else 5}
    name = draft.free(f"retire:{live.key}", live.host)
    return draft.add(step(name, Kind.RETIRE, live.host, needs, data, subject=live.key, service=service, wave=wave))


def mark(draft: Draft, live: LiveInstance, *, protect: bool, checks: Sequence[str] | None = None) -> str:
    """Note on a record what may change of it."""
    data: dict[str, Any] = {"key": live.key, "protect": protect, "commit": live.commit}
    if checks is not None:
        data["checks"] = list(checks)
    return draft.add(
        step(f"mark:{live.key}", Kind.MARK, live.host, (), data, subject=f"marks:{live.name}", service=live.service)
    )
