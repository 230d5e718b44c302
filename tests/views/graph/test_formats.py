"""A plan's graph, for people and for what draws it."""

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import combinations, pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plan import cases
from tests.plan.builders import empty, fleet, plan, service
from tests.plan.test_laws import SETTINGS
from unictl.fleet.model import Port
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step, StepKind
from unictl.views.graph import formats, layered_layout, step_graph
from unictl.views.graph.step_graph import Drawing, Node

HOSTILE = 'x"];<script>alert(1)</script>\\"&-->\n`end`'


def many(count: int, *, replicas: int = 2) -> Plan:
    """A first plan of so many services, each of which may need some before it."""
    random, found = Random(count), []
    for n in range(count):
        needs = tuple(sorted({f"s{random.randrange(n)}" for _ in range(random.randrange(3))})) if n else ()
        ports = (Port(name="http", number=8080),) if n % 2 else ()
        found.append(service(f"s{n}", replicas=replicas, needs=needs, ports=ports, memory=16 << 20))
    one = fleet(*found, hosts=20)
    return plan(one, empty(one))


def hostile() -> Drawing:
    nodes = (Node(id="a", lines=(HOSTILE, HOSTILE), style="create"), Node(id="end", lines=("end",)))
    return Drawing(nodes=nodes, edges=(("a", "end"),))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, tuple[float, float]], list[tuple[str, str]]]:
    count = draw(st.integers(1, 25))
    names = [f"n{n}" for n in range(count)]
    sizes = {name: (draw(st.floats(10, 300)), draw(st.floats(10, 90))) for name in names}
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    edges = {(names[min(p)], names[max(p)]) for p in draw(st.lists(pairs, max_size=50)) if p[0] != p[1]}
    return sizes, sorted(edges)


@SETTINGS
@given(found=graphs())
def test_no_two_boxes_overlap_and_every_edge_goes_from_left_to_right(found: Any) -> None:
    sizes, edges = found
    laid = layered_layout.arrange(sizes, edges)
    for one, two in combinations(laid.boxes.values(), 2):
        apart = one.x + one.width <= two.x or two.x + two.width <= one.x
        assert apart or one.y + one.height < two.y or two.y + two.height < one.y
    for (one, two), points in laid.routes.items():
        assert points[0][0] == laid.boxes[one].x + laid.boxes[one].width and points[-1][0] == laid.boxes[two].x
        assert all(left[0] < right[0] for left, right in pairwise(points))
        assert set(laid.routes) == set(edges)
    for box in laid.boxes.values():
        assert box.x >= 0 and box.y >= 0 and box.x + box.width <= laid.width and box.y + box.height <= laid.height


@SETTINGS
@given(found=graphs())
def test_no_edge_runs_through_a_box(found: Any) -> None:
    sizes, edges = found
    laid = layered_layout.arrange(sizes, edges)
    for points in laid.routes.values():
        for (x, y), (u, _) in zip(points[1::2], points[2::2], strict=False):
            for box in laid.boxes.values():
                level = box.y < y < box.y + box.height
                assert not (level and box.x < u and x < box.x + box.width)


@SETTINGS
@given(found=graphs())
def test_what_a_longer_way_says_is_left_out_and_nothing_else(found: Any) -> None:
    sizes, edges = found
    kept = layered_layout.transitive_reduction(list(sizes), edges)
    assert _reach(kept) == _reach(edges)
    for edge in kept:
        assert _reach([other for other in kept if other != edge]) != _reach(kept)


def test_a_graph_too_large_to_be_reduced_keeps_all_its_edges() -> None:
    nodes = [f"n{n}" for n in range(layered_layout.MAX_REDUCED_NODES + 1)]
    edges = (("n0", "n1"), ("n0", "n2"), ("n1", "n2"))
    assert layered_layout.transitive_reduction(nodes, edges) == edges
    assert layered_layout.transitive_reduction(nodes[:-1], edges) == (("n0", "n1"), ("n1", "n2"))


def _reach(edges: Any) -> set[tuple[str, str]]:
    found = set(edges)
    while more := {(a, d) for a, b in found for c, d in found if b == c} - found:
        found |= more
    return found


def test_edges_in_a_circle_are_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        layered_layout.assign_layers(["a", "b"], [("a", "b"), ("b", "a")])


def test_a_small_plan_has_a_box_for_each_wave_and_what_is_needed_comes_first() -> None:
    drawn = step_graph.draw_folded(cases.CASES["service_gone_from_the_fleet_goes_after_what_replaces_its_users"]())
    assert drawn.nodes[0].lines == ("front", "wave 1 of 3", "replace front-0")
    assert [node.style for node in drawn.nodes] == ["replace"] * 3 + ["destroy"]
    assert drawn.edges == (("front:1", "front:2"), ("front:2", "front:3"), ("front:3", "counter:1"))


def test_a_canary_is_named() -> None:
    drawn = step_graph.draw_folded(cases.CASES["canary_goes_before_the_rest"]())
    assert "canary" in drawn.nodes[0].lines[1] and "canary" not in drawn.nodes[-1].lines[1]


@pytest.mark.parametrize("name", sorted(cases.CASES))
def test_every_golden_plan_can_be_drawn_in_every_way(name: str) -> None:
    made = cases.CASES[name]()
    for drawn in (step_graph.draw_folded(made), step_graph.draw_steps(made)):
        mermaid_reads(formats.to_mermaid(drawn), drawn)
        ElementTree.fromstring(formats.to_svg(drawn))
        ids = {node.id for node in drawn.nodes}
        assert all({one, two} <= ids for one, two in drawn.edges) and len(ids) == len(drawn.nodes)


def test_every_service_that_changes_is_in_the_folded_drawing() -> None:
    drawn = step_graph.draw_folded(many(12))
    assert {f"s{n}" for n in range(12)} <= {node.lines[0] for node in drawn.nodes}


@pytest.mark.parametrize("count", [30, 60, 400])
def test_a_large_plan_is_folded_to_what_a_person_can_read(count: int) -> None:
    drawn = step_graph.draw_folded(many(count))
    assert 1 < len(drawn.nodes) <= step_graph.MAX_NODES
    mermaid_reads(formats.to_mermaid(drawn), drawn)


def test_what_mermaid_would_refuse_is_told_by_number() -> None:
    with pytest.raises(formats.TooLarge, match="edges"):
        formats.to_mermaid(step_graph.draw_steps(many(100)))


def test_a_picture_that_nobody_would_look_at_is_told_by_number() -> None:
    nodes = tuple(Node(id=str(n), lines=("x",)) for n in range(formats.SVG_BOXES + 1))
    with pytest.raises(formats.TooLarge, match="2001 boxes"):
        formats.to_svg(Drawing(nodes=nodes))


def test_all_steps_are_all_steps_and_all_edges() -> None:
    made = cases.hello_again()
    drawn = step_graph.draw_steps(made)
    assert [node.id for node in drawn.nodes] == [step.id for step in made.steps]
    assert len(drawn.edges) == sum(len(step.needs) for step in made.steps)


def test_services_that_wait_for_each_other_by_turns_are_drawn_without_a_circle() -> None:
    def step(n: int, service: str, *needs: str) -> Step:
        return Step(
            id=str(n), kind=StepKind.LAUNCH, host="hv1", subject=f"{service}-{n}.x", service=service, needs=needs
        )

    made = replace(cases.hello_again(), steps=(step(1, "a"), step(2, "b", "1"), step(3, "a", "2")))
    assert step_graph.draw_folded(made).edges == (("a:0", "b:0"),)


LABEL = r'"(?:[\w .,:+/=()-]|#\d+;|<br/>)+"'


def mermaid_reads(text: str, drawn: Drawing) -> None:
    """The few forms of Mermaid's grammar that are used, and nothing besides."""
    head, *lines = text.splitlines()
    assert head == "flowchart LR"
    forms = (rf"  n\d+\[{LABEL}\]", r"  n\d+ --> n\d+", r"  classDef \w+ [\w:#,]+", r"  class n\d+(,n\d+)* \w+")
    counts = [sum(bool(re.fullmatch(form, line, re.ASCII)) for line in lines) for form in forms]
    assert sum(counts) == len(lines) and counts[:2] == [len(drawn.nodes), len(drawn.edges)]
    assert len(drawn.edges) <= 500 and len(text) <= 50_000


def test_no_text_becomes_markup_of_mermaid() -> None:
    mermaid_reads(formats.to_mermaid(hostile()), hostile())


def test_no_text_becomes_markup_of_a_picture() -> None:
    tree = ElementTree.fromstring(formats.to_svg(hostile()))
    assert {each.tag.rpartition("}")[2] for each in tree.iter()} == {"svg", "style", "path", "g", "rect", "text"}
    assert HOSTILE in [each.text for each in tree.iter() if each.tag.endswith("text")]


@pytest.mark.parametrize(
    "drawn", [hostile(), step_graph.draw_folded(many(30)), step_graph.draw_steps(cases.hello_again())]
)
def test_graphviz_reads_the_dot_form(drawn: Drawing) -> None:
    words = ["dot", "-Tplain"]
    told = subprocess.run(words, input=formats.to_dot(drawn), capture_output=True, text=True, timeout=60, check=True)
    assert not told.stderr
    lines = [line.split()[0] for line in told.stdout.splitlines()]
    assert (lines.count("node"), lines.count("edge")) == (len(drawn.nodes), len(drawn.edges))


def test_the_same_plan_is_the_same_picture() -> None:
    assert formats.to_svg(step_graph.draw_folded(many(30))) == formats.to_svg(step_graph.draw_folded(many(30)))


def test_a_plan_without_steps_is_an_empty_picture() -> None:
    drawn = step_graph.draw_folded(cases.CASES["converged_fleet_keeps_everything"]())
    assert drawn == Drawing() and ElementTree.fromstring(formats.to_svg(drawn)) is not None
