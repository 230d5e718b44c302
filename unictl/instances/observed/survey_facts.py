"""The parts of a survey that a host reports as small JSON objects. Values only.

What planning reads is decoded once, into a frozen value. What is shown to users as the host wrote it stays a
dictionary with named keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from unictl.hypervisors.launch import RunSection


class AcceleratorTrial(TypedDict):
    """One accelerator as it was tried on a host."""

    accel: str
    cpu: str
    works: bool
    stage: str
    loops_per_second: float
    why: str


class AcceleratorChoice(TypedDict):
    """What guests run with on a host, and every accelerator that was tried."""

    accel: str
    cpu: str
    loops_per_second: float
    tried: list[AcceleratorTrial]


class IngressStatus(TypedDict):
    """The ingress of this fleet on a host."""

    # absent, starting, running, dead, or foreign (another program listens on its ports).
    state: str
    # SHA-256 of the configuration that runs; empty if none does.
    hash: str
    since: NotRequired[float]
    # Instance key -> UP or DOWN, as HAProxy sees it.
    servers: NotRequired[Mapping[str, str]]
    # How often it ended by itself, and when it last did (0: nobody saw it).
    ends: NotRequired[int]
    ended: NotRequired[float]
    # Of one that does not run: whether it is started again, and why the last try failed.
    restarting: NotRequired[bool]
    why: NotRequired[str]


class LeaseHolder(TypedDict, total=False):
    """Who holds the lease of a fleet on a host, as the holder wrote it; empty strings where it wrote nothing."""

    user: str
    pid: int | str
    since: float | str
    doing: str
    revision: str
    token: int | str
    # Seconds since its last sign of life.
    silent: float
    # The state letter of its process, T for a stopped one.
    process: str


class RememberedPolicy(TypedDict, total=False):
    """The policy of the last apply, as a host remembers it."""

    max_destroy: str
    max_changes: str | None
    require_clean_tree: bool
    require_health: bool
    signed_commits: list[str]
    signed_images: list[str]


class RunEnd(TypedDict, total=False):
    """How the last run of an instance ended, as its supervisor judged it."""

    # clean, stopped, crash, ... of ``guests.exit_rules``; unknown if nobody watched.
    verdict: str
    # What the guest itself reported, the exit status and signal of its process.
    code: int | None
    status: int | None
    signal: int | None
    reason: str | None
    at: float
    # The last lines of its console.
    console: list[str]
    # Whether it is started again, and the seconds until then.
    restarting: bool
    pause: float | None


class LaunchedAs(TypedDict, total=False):
    """How an instance was started: two parts of its launch document."""

    restart: str
    run: RunSection


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervisorProgram:
    """A hypervisor installed on a host; ``version`` is empty if the program did not report one."""

    path: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherStore:
    """Another store on the same machine with something of this fleet: its folder, and its id if it can be read."""

    root: str
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyDurations:
    """How long the steps of one complete apply took."""

    at: float
    # Kind of step -> (median milliseconds, number of steps).
    took: Mapping[str, tuple[int, int]]
    # (bytes, milliseconds) of the images it uploaded.
    staged: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What a health gate last reported of one fingerprint of a service."""

    service: str
    fingerprint: str
    at: float
    healthy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedFile:
    """A file of a host's store that is not what it has to be."""

    path: str
    text: str
    hint: str
    # Whether an apply of this fleet would have to write there and cannot.
    blocks_apply: bool


def decode_hypervisors(reply: Mapping[str, Mapping[str, Any]]) -> dict[str, HypervisorProgram]:
    """The ``hypervisors`` of a survey, by name."""
    return {
        name: HypervisorProgram(path=program.get("path", ""), version=program.get("version", ""))
        for name, program in reply.items()
    }


def decode_other_store(reply: Mapping[str, Any]) -> OtherStore:
    """One entry of ``elsewhere``."""
    return OtherStore(root=str(reply["root"]), id=str(reply["id"]))


def decode_apply_durations(reply: Mapping[str, Any]) -> ApplyDurations:
    """One entry of ``applies``."""
    took = {kind: (median, count) for kind, (median, count) in reply["took"].items()}
    size, milliseconds = reply.get("staged") or (0, 0)
    return ApplyDurations(at=float(reply["at"]), took=took, staged=(size, milliseconds))


def decode_gate_result(reply: Mapping[str, Any]) -> GateResult:
    """One entry of ``gates``."""
    return GateResult(
        service=reply["service"],
        fingerprint=reply["fingerprint"],
        at=float(reply["at"]),
        healthy=bool(reply["healthy"]),
    )


def decode_damaged_file(reply: Mapping[str, Any]) -> DamagedFile:
    """One entry of ``spoiled``."""
    return DamagedFile(
        path=reply["path"], text=str(reply["text"]), hint=str(reply["hint"]), blocks_apply=bool(reply["bars"])
    )
