"""Large plans are read by people: from the fleet file's text to the printed plan."""

import pytest

from tests.bench import planner
from unictl.declaration.load import load_fleet
from unictl.guests.image_facts import ImageFacts
from unictl.instances.observed.host_state import decode_survey
from unictl.operations.package_data import load_fleet_schema
from unictl.plan.model.plan import Plan
from unictl.plan.model.revision import Revision
from unictl.plan.planner import build
from unictl.views.text import layout, plan_text


def _shared(instances: int) -> tuple[str, dict[str, dict[str, ImageFacts]]]:
    """A fleet whose services all have one image."""
    source = planner.yaml(instances, 2)
    for n in range(instances // planner.REPLICAS):
        source = source.replace(f"image: i{n}{{", "image: i0{").replace(f"image: i{n}}}", "image: i0}")
        source = source.replace(f"image: i{n},", "image: i0,")
    return source, planner.facts(instances // planner.REPLICAS)


@pytest.mark.parametrize("number", [1, 20], ids=["one service's image", "an image that all services share"])
def test_a_thousand_instances_with_one_image_bump_print_on_a_screen(number: int) -> None:
    source, known = _shared(1000)
    hosts = [f"h{n}" for n in range(50)]
    if number == 1:
        source = source.replace("replicas: 50", "replicas: 1000").split("  s1:")[0]
        source += "" if source.endswith("\n") else "\n"
    first = _planned(source, {host: planner.empty(host) for host in hosts}, known)
    assert first.can_apply, first.refusals
    world = planner.applied(first, iter(hosts))
    specs = {s.data.document["name"]: s.data.document["spec"] for s in first.steps if s.id.startswith("launch:")}
    for said in world.values():
        for row in said["instances"]:
            row["spec"] = specs[row["name"]]
    made = _planned(source, world, {**known, "i0": planner.facts(1, bumped=0)["i0"]})
    shown = layout.join_lines(plan_text.render(made, 80))
    assert made.can_apply and made.counts.replace == 1000
    assert len(shown.splitlines()) <= 40 and len(shown) <= 10_000
    assert shown.splitlines()[-1] == "Plan: 0 to add, 1000 to replace, 0 to destroy, 0 to adjust, 0 unchanged."


def _planned(source: str, world: dict[str, dict[str, object]], known: dict[str, dict[str, ImageFacts]]) -> Plan:
    loaded = load_fleet({"fleet.yaml": source}, schema=load_fleet_schema())
    assert loaded.fleet is not None, loaded.problems
    surveys = {host: decode_survey(host, said) for host, said in world.items()}
    numbers = planner.endpoints(len(loaded.fleet.services))
    revision = Revision(commit="c" * 40, clean=True)
    return build(loaded.fleet, known, numbers, surveys, revision=revision, places=loaded.places)


def test_what_the_bench_makes_up_for_hosts_is_a_converged_world() -> None:
    source = planner.yaml(100, 2)
    hosts = [f"h{n}" for n in range(5)]
    made = _planned(source, {host: planner.empty(host) for host in hosts}, planner.facts(2))
    world = planner.applied(made, iter(hosts))
    again = _planned(source, world, planner.facts(2))
    assert not again.steps
