"""What a plan rests on, and what of it may move without a word."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.plan import builders, cases
from tests.plan.builders import plan
from tests.plan.simulator import Simulator
from tests.plan.worlds import applied
from unictl.instances.observed.host_state import Claim, LiveVolume
from unictl.plan.file import planfile
from unictl.plan.file.staleness import violated_preconditions
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import StepKind


def _made() -> tuple[Plan, Simulator]:
    sim = applied(cases.hello())
    return plan(builders.change(cases.hello(), "front", args=("--new",)), sim.world()), sim


def _key(sim: Simulator, name: str) -> str:
    return sim.lives(name)[0].key


def _claim(sim: Simulator, made: Plan) -> None:
    document = next(step.data.document for step in made.steps if step.kind is StepKind.LAUNCH)
    port = document["run"]["forwards"][0]["host"]
    claim = Claim(kind="port", owner="blog-77aa", holder="web-0.12345678", port=port, bind="127.0.0.1")
    sim.hosts["hv1"] = replace(sim.hosts["hv1"], claims=(claim,))


def _gone(sim: Simulator, _: Plan) -> None:
    sim.hosts["hv1"] = replace(sim.hosts["hv1"], instances=sim.hosts["hv1"].instances[1:])


def _set(**given: object) -> Callable[[Simulator, Plan], None]:
    def change(sim: Simulator, _: Plan) -> None:
        sim.hosts["hv1"] = replace(sim.hosts["hv1"], **given)  # type: ignore[arg-type]

    return change


MOVES: dict[str, tuple[Callable[[Simulator, Plan], None], str]] = {
    "ended": (lambda sim, _: sim.crash(_key(sim, "front-1")), "front-1.* on hv1 has ended; when planned it runs"),
    "protected": (lambda sim, _: sim.put("hv1", _key(sim, "front-1"), protect=True), "front-1.* is protected now"),
    "unproven": (lambda sim, _: sim.put("hv1", _key(sim, "front-1"), proven=False), "has not passed its gate"),
    "gone": (_gone, "is not on hv1 any more"),
    "port": (_claim, "is held by web-0.12345678 of fleet blog-77aa"),
    "host": (_set(host_id="another"), "hv1 is another machine"),
    "ingress": (_set(ingress={"state": "running", "hash": "other"}), "the ingress of hv1 is not the one"),
    "volume": (
        _set(volumes=(LiveVolume(name="counter", size=1 << 30, used_by=""),)),
        "is used by nobody; when planned by counter-0",
    ),
    "new volume": (_set(volumes=()), "volume counter is not on hv1 any more"),
}


@pytest.mark.parametrize("name", sorted(MOVES))
def test_what_moved_is_named(name: str) -> None:
    made, sim = _made()
    move, sentence = MOVES[name]
    assert violated_preconditions(made, sim.world()) == ()
    move(sim, made)
    found = violated_preconditions(planfile.load(planfile.dump(made)), sim.world())
    assert len(found) == 1
    assert found[0].code == "stale"

    assert re.search(sentence, found[0].summary), found[0].summary


def test_a_host_that_went_silent_is_named() -> None:
    made, sim = _made()
    sim.deaf = frozenset(["hv1"])
    assert [each.summary for each in violated_preconditions(made, sim.world())] == [
        "hv1 does not answer any more: timed out"
    ]


@pytest.mark.parametrize(
    "quiet",
    [
        _set(memory_free=1, clock=9.0, boot_id="other", disk_free=7, lease={"user": "me"}),
        lambda sim, _: sim.put("hv1", _key(sim, "front-1"), since=99.0, starts=7, health="unhealthy", commit="f" * 40),
        lambda sim, _: sim.put("hv1", _key(sim, "front-1"), state="unsupervised"),
        lambda sim, _: sim.crash(_key(sim, "front-1"), restarting=True),
        _set(claims=(Claim(kind="port", owner="", holder="", port=9, bind="::"),)),
    ],
)
def test_uptime_health_load_and_restarts_move_without_a_word(quiet: Callable[[Simulator, Plan], None]) -> None:
    made, sim = _made()
    quiet(sim, made)
    assert violated_preconditions(made, sim.world()) == ()


def test_a_host_that_the_plan_does_not_touch_may_move() -> None:
    one = cases.two_hosts()
    one = replace(one, hosts={n: replace(each, ingress=n == "hv1") for n, each in one.hosts.items()})
    sim = applied(one)
    mover = next(live for live in sim.hosts["hv1"].instances)
    made = plan(one, sim.world(), replace=(mover.name,))
    assert set(made.preconditions) == {"hv1"}
    sim.crash(sim.hosts["hv2"].instances[0].key)
    assert violated_preconditions(made, sim.world()) == ()


def test_an_applied_plan_is_stale() -> None:
    made, sim = _made()
    assert sim.run(made)
    assert violated_preconditions(made, sim.world())
