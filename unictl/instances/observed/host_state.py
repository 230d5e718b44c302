"""What hosts report of themselves: surveys and live instances. Values only.

``decode_survey`` turns one survey reply (``onhost.survey``) into a Survey; a host that did not answer is an
UnreachableHost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from unictl.hypervisors.launch import ForwardRow
from unictl.instances.launch_record import LaunchSpec
from unictl.instances.observed import survey_facts
from unictl.instances.observed.survey_facts import (
    AcceleratorChoice,
    ApplyDurations,
    DamagedFile,
    GateResult,
    HypervisorProgram,
    IngressStatus,
    LaunchedAs,
    LeaseHolder,
    OtherStore,
    RememberedPolicy,
    RunEnd,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveInstance:
    """One record of this fleet on a host.

    ``state``: begun (recorded, never started), running, unsupervised (runs, supervisor dead), ended, leaving (stop was
    decided), starting (the host rebooted, and systemd starts it), lost (the host rebooted under it), damaged (its
    record is not as it was written). ``supervision``: systemd or detached, who would start it again; ``at_boot``:
    whether it starts with its host, as far as that supervision goes. ``end`` holds the judged end facts of the last
    run, if any, ``why`` what hinders the next. ``proven``: whether it passed its gate; ``checks``: the kinds of check
    that its service had by the last apply that looked; None where that is not known.
    ``spec`` is the canonical launch spec in its record, ``resolved`` what its references meant; ``launched`` how it was
    started. That and the spec come only where its fingerprint differs from the desired one.
    """

    name: str
    generation: str
    service: str
    ordinal: int
    launch: int
    fingerprint: str
    state: str
    host: str = ""
    since: float = 0.0
    commit: str = ""
    protect: bool = False
    memory: int = 0
    overhead: int = 0
    cpus: int = 1
    forwards: tuple[ForwardRow, ...] = ()
    volumes: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    spec: LaunchSpec | None = None
    resolved: Mapping[str, str] | None = None
    launched: LaunchedAs | None = None
    end: RunEnd | None = None
    starts: int = 0
    health: str = ""
    proven: bool = True
    checks: tuple[str, ...] | None = None
    supervision: str = "detached"
    at_boot: bool = True
    why: str = ""

    @property
    def key(self) -> str:
        """``api-2.7f3c9a1b``."""
        return f"{self.name}.{self.generation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A port or amount of memory held on a host by another fleet or another program (``owner`` empty: not unictl's)."""

    kind: str
    owner: str
    holder: str
    port: int = 0
    bind: str = ""
    amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveVolume:
    """A volume on a host; ``used_by`` the instance key whose record names it, or empty."""

    name: str
    size: int
    used_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingCapability:
    """Something a host cannot do, in one sentence, with a stable code (``no-qemu``, ``no-haproxy``, ``no-kvm``).

    ``below``: of ``low-ports``, the first port that its user may listen on.
    """

    code: str
    text: str
    hint: str = ""
    below: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedHost:
    """A host of the fleet as last applied. ``leaving``: it may leave the fleet file; ``ingress``: it had one."""

    name: str
    id: str = ""
    leaving: bool = False
    ingress: bool = False

    @property
    def text(self) -> str:
        """As hosts keep it: ``hv1 9f2c... ingress``."""
        marks = [word for word, is_set in (("leaving", self.leaving), ("ingress", self.ingress)) if is_set]
        return " ".join([self.name, self.id or "-", *marks])


def parse_remembered_host(text: str) -> RememberedHost:
    """What ``RememberedHost.text`` wrote."""
    name, id_, *marks = text.split(" ")
    return RememberedHost(
        name=name, id="" if id_ == "-" else id_, leaving="leaving" in marks, ingress="ingress" in marks
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetNaming:
    """What a host calls the fleet. ``owner``: its owner there; empty where the host has nothing of it.

    ``both``: what is there under its former name besides; ``kin``: marks of fleets with the same id and another name,
    ``former``: owners of other fleets of its former name, where the host has nothing of it.
    """

    owner: str = ""
    both: tuple[str, ...] = ()
    kin: tuple[str, ...] = ()
    former: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one host said. ``host`` is its name in the fleet file; sizes in bytes.

    ``images`` lie there whole; of the ``damaged`` the bytes are not those of their name any more. How it was asked:
    ``skew`` is how far its clock is ahead of this machine's (seconds, 0 where the way there may explain it), ``took``
    the seconds from nothing to the answer, ``round_trips`` the requests that took, ``notes`` what on the way there was
    lost and made again. ``applies``: the last complete ones. ``gates``: the last results of what ever failed one.
    """

    host: str
    host_id: str
    boot_id: str
    clock: float
    root: str
    memory: int
    memory_free: int
    cpus: int
    disk_free: int
    user: str = ""
    supervision: str = "detached"
    hypervisors: Mapping[str, HypervisorProgram]
    accelerator: AcceleratorChoice | None = None
    missing_capabilities: tuple[MissingCapability, ...] = ()
    instances: tuple[LiveInstance, ...] = ()
    retired: Mapping[str, int]
    volumes: tuple[LiveVolume, ...] = ()
    images: frozenset[str] = frozenset()
    damaged: frozenset[str] = frozenset()
    claims: tuple[Claim, ...] = ()
    ingress: IngressStatus
    lease: LeaseHolder | None = None
    policy: RememberedPolicy | None = None
    hosts: tuple[str, ...] | None = None
    naming: FleetNaming = FleetNaming()
    namesakes: tuple[str, ...] = ()
    other_stores: tuple[OtherStore, ...] = ()
    leftovers: int = 0
    applies: tuple[ApplyDurations, ...] = ()
    gates: tuple[GateResult, ...] = ()
    damaged_files: tuple[DamagedFile, ...] = ()
    skew: float = 0.0
    took: float = 0.0
    round_trips: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreachableHost:
    """A host that could not be asked, and why. ``code``: what of itself bars a plan (``newer-format``: its store was
    written by a newer unictl, ``renamed``: the fleet is called something else there); empty for mere silence."""

    host: str
    reason: str
    hint: str = ""
    code: str = ""


LiveState = Mapping[str, Survey | UnreachableHost]
"""The live state: host name -> what it said."""


def _decode_capability(reply: Mapping[str, Any]) -> MissingCapability:
    return MissingCapability(
        code=reply["code"], text=reply["text"], hint=reply.get("hint", ""), below=int(reply.get("below", 0))
    )


def decode_survey(host: str, reply: Mapping[str, Any]) -> Survey:
    """A Survey of one reply of the host side; unknown keys are ignored (minor additions)."""
    facts = reply["host"]
    return Survey(
        host=host,
        host_id=facts["id"],
        boot_id=facts["boot_id"],
        clock=facts["clock"],
        root=facts["root"],
        memory=facts["memory"],
        memory_free=facts["memory_free"],
        cpus=facts["cpus"],
        disk_free=facts["disk_free"],
        user=facts.get("user", ""),
        supervision=facts.get("supervision", "detached"),
        hypervisors=survey_facts.decode_hypervisors(facts["hypervisors"]),
        accelerator=facts.get("accelerator"),
        missing_capabilities=tuple(_decode_capability(capability) for capability in facts["lacks"]),
        instances=tuple(_decode_instance(host, entry) for entry in reply["instances"]),
        retired=reply["retired"],
        volumes=tuple(
            LiveVolume(name=volume["name"], size=volume["size"], used_by=volume.get("used_by", ""))
            for volume in reply["volumes"]
        ),
        images=frozenset(reply["images"]),
        damaged=frozenset(reply.get("damaged", ())),
        claims=tuple(_decode_claim(entry) for entry in reply["claims"]),
        ingress=reply["ingress"],
        lease=reply.get("lease"),
        policy=reply.get("policy"),
        hosts=None if reply.get("hosts") is None else _split_lines(reply["hosts"]),
        naming=_decode_naming(reply.get("name", {})),
        namesakes=tuple(reply.get("namesakes", ())),
        other_stores=tuple(map(survey_facts.decode_other_store, reply.get("elsewhere", ()))),
        leftovers=reply.get("leftovers", 0),
        applies=tuple(map(survey_facts.decode_apply_durations, reply.get("applies", ()))),
        gates=tuple(map(survey_facts.decode_gate_result, reply.get("gates", ()))),
        damaged_files=tuple(map(survey_facts.decode_damaged_file, reply.get("spoiled", ()))),
    )


@lru_cache(maxsize=64)
def _split_lines(text: str) -> tuple[str, ...]:
    """What all hosts say alike is taken apart once, and kept once."""
    return tuple(text.splitlines())


def _decode_naming(reply: Mapping[str, Any]) -> FleetNaming:
    lists = {key: tuple(reply.get(key, ())) for key in ("both", "kin", "former")}
    return FleetNaming(owner=reply.get("called", ""), **lists)


def _decode_claim(reply: Mapping[str, Any]) -> Claim:
    return Claim(
        kind=reply["kind"],
        owner=reply.get("owner", ""),
        holder=reply.get("holder", ""),
        port=reply.get("port", 0),
        bind=reply.get("bind", ""),
        amount=reply.get("amount", 0),
    )


def _decode_instance(host: str, reply: Mapping[str, Any]) -> LiveInstance:
    return LiveInstance(
        host=host,
        name=reply["name"],
        generation=reply["generation"],
        service=reply["service"],
        ordinal=reply["ordinal"],
        launch=reply["launch"],
        fingerprint=reply["fingerprint"],
        state=reply["state"],
        since=reply.get("since", 0.0),
        commit=reply.get("commit", ""),
        protect=reply.get("protect", False),
        memory=reply.get("memory", 0),
        overhead=reply.get("overhead", 0),
        cpus=reply.get("cpus", 1),
        forwards=tuple(reply.get("forwards", ())),
        volumes=tuple(reply.get("volumes", ())),
        images=tuple(reply.get("images", ())),
        spec=reply.get("spec"),
        resolved=reply.get("resolved"),
        launched=reply.get("launched"),
        end=reply.get("end"),
        starts=reply.get("starts", 0),
        health=reply.get("health", ""),
        proven=reply.get("proven", False),
        checks=None if reply.get("checks") is None else tuple(reply["checks"]),
        supervision=reply.get("supervision", "detached"),
        at_boot=reply.get("at_boot", True),
        why=reply.get("why", ""),
    )
