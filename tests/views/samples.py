"""Plans, reports and documents that the tests of views, terminal and command line render."""

from collections.abc import Iterable
from typing import Any

from unictl.diagnostics.diagnostic import Diagnostic, Severity
from unictl.plan.model.change import Action, Change, Field
from unictl.plan.model.plan import Endpoint, Plan
from unictl.plan.model.plan_facts import PlanFacts
from unictl.plan.model.revision import Revision
from unictl.plan.model.rollback import RollbackRecord
from unictl.plan.model.step import Step, StepKind
from unictl.plan.model.wave import WaveRecord

OLD, NEW = "sha256:" + "a1b2c3d4" * 8, "sha256:" + "d4e5f6a7" * 8
IMAGE = Field(path="image.kernel", old=OLD, new=NEW)
PLACES = {"images.api.kernel": "fleet.yaml:31:7", "services.db": "fleet.yaml:40:3", "services": "fleet.yaml:20:1"}
STEP = Step(
    id="launch:api-0.7f3c9a1b", kind=StepKind.LAUNCH, host="hv1", subject="api-0.7f3c9a1b", service="api", wave=1
)
WARNING = Diagnostic(code="one-replica", severity=Severity.WARNING, summary="db has one replica and is stopped first")
REFUSAL = Diagnostic(code="budget", summary="this plan destroys 4 of 60 instances, and the budget is 3")


def bump(number: int, **more: Any) -> tuple[Change, ...]:
    """So many replacements that differ in nothing but name and host."""
    return tuple(
        Change(
            action=Action.REPLACE,
            subject=f"api-{n}",
            service="api",
            host=f"hv{n % 7}",
            reason="replace_because_image",
            order="create-first",
            fields=(IMAGE,),
            origin=("images", "api", "kernel"),
            **more,
        )
        for n in range(number)
    )


def destroys(number: int) -> tuple[Change, ...]:
    """So many that the fleet file does not have any more."""
    return tuple(
        Change(
            action=Action.DESTROY,
            subject=f"cache-{n}",
            service="cache",
            host="hv1",
            reason="destroy_because_not_in_fleet",
        )
        for n in range(number)
    )


def kept(number: int) -> tuple[Change, ...]:
    """So many that stay."""
    return tuple(
        Change(action=Action.KEEP, subject=f"calm-{n}", service="calm", host="hv1", reason="keep")
        for n in range(number)
    )


def stop_first() -> Change:
    """A replacement whose volume cannot be held by two."""
    return Change(
        action=Action.REPLACE,
        subject="db-0",
        service="db",
        host="hv1",
        reason="replace_because_args",
        order="stop-first",
        order_reason="its volume orders can be held by one instance at a time",
        fields=(
            Field(path="args[0]", old="--greeting=hi", new="--greeting=hello there, this does not fit on one line"),
            Field(path="memory", old=64 << 20, new=128 << 20),
        ),
        origin=("services", "db", "args", 0),
    )


def creates(number: int) -> tuple[Change, ...]:
    """So many new ones."""
    return tuple(
        Change(
            action=Action.CREATE,
            subject=f"web-{n}",
            service="web",
            host=f"hv{n}",
            reason="create_because_absent",
            origin=("services", "web"),
        )
        for n in range(number)
    )


def others() -> tuple[Change, ...]:
    """One of each kind that is neither created, replaced nor destroyed."""
    ingress = (
        Change(action=Action.ADJUST, subject="ingress", host=f"hv{n}", reason="adjust_because_ingress")
        for n in range(3)
    )
    return (
        *ingress,
        Change(
            action=Action.ADJUST,
            subject="marks:db-0",
            service="db",
            host="hv1",
            reason="adjust_because_protect",
            fields=(Field(path="protect", old=False, new=True),),
        ),
        *(
            Change(
                action=Action.UNKNOWN,
                subject=f"worker-{n}",
                service="worker",
                host="hv9",
                reason="unknown_because_host_silent",
            )
            for n in range(12)
        ),
        Change(action=Action.HELD, subject="job-0", service="job", host="hv1", reason="held_because_volume_on_hv1"),
    )


def wave(service: str, instances: tuple[str, ...] = (), summary: str = "", **more: Any) -> WaveRecord:
    """A wave that nothing but its new generations takes back."""
    rollback = RollbackRecord(
        old_servers={}, remove=(), additions=(), already_present=(), relaunch=(), irreversible={}, summary=summary
    )
    return WaveRecord(service=service, number=1, instances=instances, rollback=rollback, **more)


def plan(changes: Iterable[Change] = (), **more: Any) -> Plan:
    """A plan of these changes; it has a step where anything but keeping is among them."""
    changes = tuple(changes)
    idle = (Action.KEEP, Action.UNKNOWN, Action.HELD)
    steps = (STEP,) if any(each.action not in idle for each in changes) else ()
    given: dict[str, Any] = {
        "name": "shop",
        "mark": "shop",
        "owner": "shop-5f0c2a",
        "hosts": {},
        "preconditions": {},
        "steps": steps,
        "revision": Revision(commit="3f2a9c1d8e7b6a5f3f2a9c1d8e7b6a5f3f2a9c1d", clean=True),
        "facts": PlanFacts(places=PLACES),
    }
    return Plan(changes=changes, **(given | more))


def everything() -> Plan:
    """A plan in which there is one of everything."""
    moved = Change(
        action=Action.MOVE,
        subject="mail-0",
        service="mail",
        host="hv1",
        to_host="hv2",
        reason="move_because_drain",
        order="create-first",
    )
    return plan(
        (*kept(41), *others(), *creates(2), moved, *bump(40), stop_first(), *destroys(3)),
        endpoints=(
            Endpoint(kind="endpoint", service="api", port="http", address="10.30.128.4", number=20001, hosts=("hv1",)),
            Endpoint(kind="published", service="api", port="http", address="", number=80, hosts=("hv1", "hv2")),
        ),
        silent={"hv9": "ssh: connect to host hv9 port 22: No route to host"},
        partial="-target api",
        warnings=(WARNING,),
        refusals=(REFUSAL,),
    )


STATUS: dict[str, Any] = {
    "format_version": "1.0",
    "fleet": "shop",
    "hosts": [
        {"name": "hv2", "host_id": "b", "reachable": False, "why": "ssh: no route to host"},
        {
            "name": "hv1",
            "host_id": "a",
            "reachable": True,
            "clock": 1_790_000_200.0,
            "accelerator": {"accel": "kvm", "cpu": "host", "loops_per_second": 3_512_000_000, "tried": []},
            "capabilities": [{"code": "no-haproxy", "text": "there is no HAProxy", "hint": "install it"}],
            "supervision": "detached",
            "ingress": {"state": "dead", "ends": 1, "ended": 1_790_000_140.0},
            "used": {"memory": 1 << 30},
            "free": {"memory": 3 << 30},
            "lease": {
                "user": "ann@desk",
                "doing": "apply",
                "since": 1_790_000_190.0,
                "pid": 71,
                "revision": "3f2a9c1d8e7b",
                "token": 7,
                "process": "S",
            },
        },
    ],
    "instances": [
        {
            "name": "api-10",
            "service": "api",
            "ordinal": 10,
            "generation": "0badc0de",
            "host": "hv2",
            "state": "unknown",
            "health": "unknown",
        },
        {
            "name": "api-2",
            "service": "api",
            "ordinal": 2,
            "generation": "7f3c9a1b",
            "host": "hv1",
            "state": "running",
            "health": "healthy",
            "address": "10.0.0.11",
            "ports": {"http": 31002},
            "commit": "3f2a9c1d8e7b",
            "since": 1_790_000_000.5,
            "starts": 3,
        },
        {
            "name": "db-0",
            "service": "db",
            "ordinal": 0,
            "host": "hv1",
            "state": "ended",
            "health": "unhealthy",
            "since": 1_789_990_000.0,
            "exit": {
                "verdict": "crash",
                "code": None,
                "signal": 11,
                "reason": None,
                "at": 1_790_000_193.0,
                "restarting": True,
                "pause": 16.0,
                "console": [f"line {number}" for number in range(8)],
            },
        },
    ],
    "endpoints": [{"kind": "endpoint", "service": "api", "port": "http", "address": "10.0.0.11", "number": 20001}],
}
