"""A machine that died and one that stands in its place: known by its id, whatever hosts that were silent remember."""

from dataclasses import replace

import pytest

from tests.plan import builders
from tests.plan.builders import fleet, host, plan, service
from tests.plan.simulator import Simulator
from tests.plan.worlds import LOOSE, applied
from unictl.fleet.model import Fleet

FLEET = fleet(service("web", replicas=3), hosts=3)


def marked(file: Fleet, name: str, **given: bool) -> Fleet:
    return replace(file, hosts={**file.hosts, name: replace(file.hosts[name], **given)})


def carried_out(file: Fleet, sim: Simulator) -> None:
    made = plan(file, sim.world(), **LOOSE)
    assert made.can_apply, made.refusals
    assert sim.run(made)


@pytest.fixture
def died() -> Simulator:
    """hv2 died and was declared lost while hv3 was silent; an empty machine stands in its place."""
    sim = applied(FLEET)
    sim.hosts["hv2"] = builders.survey("hv2", host_id="newer")
    sim.ingress.pop("hv2")
    sim.deaf |= {"hv2", "hv3"}
    carried_out(marked(FLEET, "hv2", lost=True), sim)
    sim.deaf -= {"hv2"}
    return sim


def test_a_machine_that_was_taken_in_while_a_host_was_silent_is_not_refused_by_what_that_one_remembers(
    died: Simulator,
) -> None:
    carried_out(FLEET, died)
    died.deaf = frozenset()
    carried_out(FLEET, died)
    again = plan(FLEET, died.world(), **LOOSE)
    assert again.can_apply and not again.steps


def test_where_nobody_has_taken_it_in_yet_it_is_refused_and_what_the_hint_says_leads_back(died: Simulator) -> None:
    died.deaf = frozenset()
    (refusal,) = plan(FLEET, died.world(), **LOOSE).refusals
    assert refusal.code == "host-changed"
    assert "hv3 says" in refusal.summary and "`lost: true` on hv2 and this one under another name" in refusal.hint
    machine = died.hosts.pop("hv2")
    died.hosts["hv4"] = replace(machine, host="hv4")
    other = marked(FLEET, "hv2", lost=True)
    carried_out(replace(other, hosts={**other.hosts, "hv4": host("hv4")}), died)
    there = died.hosts.pop("hv4")
    lives = tuple(replace(each, host="hv2") for each in there.instances)
    died.hosts["hv2"] = replace(there, host="hv2", instances=lives)
    died.ingress["hv2"] = died.ingress.pop("hv4")
    carried_out(FLEET, died)
    again = plan(FLEET, died.world(), **LOOSE)
    assert again.can_apply and not again.steps


def test_what_a_host_remembers_and_was_damaged_rules_nothing_and_breaks_no_plan() -> None:
    sim = applied(FLEET)
    for policy in ({"max_destroy": []}, {"max_destroy": "much", "max_changes": {"a": 1}}, {}):
        sim.hosts["hv1"] = replace(sim.hosts["hv1"], policy=policy, hosts=("?", "", "hv9"))
        assert plan(FLEET, sim.world(), **LOOSE).can_apply
