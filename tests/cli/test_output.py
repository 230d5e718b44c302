"""A plan as a comment, as a page, as a graph."""

from pathlib import Path

from tests.cli.conftest import World
from tests.views import samples
from unictl.views import markdown
from unictl.views.graph import formats, step_graph
from unictl.views.html import page


def test_a_plan_as_markdown_is_the_comment_and_nothing_else(world: World) -> None:
    ran = world.run("plan", "-markdown")
    assert (ran.code, ran.out) == (0, markdown.render(world.plan))


def test_a_refused_plan_as_markdown_is_still_6(world: World) -> None:
    world.plan = samples.plan(samples.destroys(4), refusals=(samples.REFUSAL,))
    ran = world.run("plan", "-markdown")
    assert ran.code == 6 and "**Refused, for 1 reason**" in ran.out


def test_a_page_is_written_beside_the_text_and_said(world: World) -> None:
    ran = world.run("plan", "-html", "plan.html")
    path, text = world.asked["write"]
    assert (str(path), text) == ("plan.html", page.render(world.plan))
    assert "Wrote the page plan.html.\n" in ran.out and ran.last.startswith("Plan: ")


def test_a_saved_plan_is_seen_in_the_same_ways_and_no_host_is_asked(world: World, tmp_path: Path) -> None:
    saved = tmp_path / "p"
    saved.write_text("")
    world.planfiles = {str(saved)}
    assert world.run("show", str(saved), "-markdown").out == markdown.render(world.plan)
    assert world.run("show", str(saved), "-html", "x.html").code == 0
    assert world.asked["write"][1] == page.render(world.plan) and "plan" not in world.asked


def test_a_fleet_is_no_comment_and_no_page(world: World) -> None:
    ran = world.run("show", "-markdown")
    assert ran.code == 1 and "this is a fleet" in ran.err


def test_a_graph_is_mermaid_unless_told(world: World) -> None:
    folded = step_graph.draw_folded(world.plan)
    assert world.run("graph").out == formats.to_mermaid(folded)
    assert world.run("graph", "-format", "dot").out == formats.to_dot(folded)
    assert world.run("graph", "-format", "svg", "-steps").out == formats.to_svg(step_graph.draw_steps(world.plan))


def test_a_graph_of_a_saved_plan_asks_no_host(world: World) -> None:
    world.planfiles = {"p"}
    assert world.run("graph", "p").code == 0 and "plan" not in world.asked


def test_a_graph_of_a_fleet_takes_what_narrows_a_plan(world: World) -> None:
    world.run("graph", "shop", "-target", "api")
    request, options = world.asked["plan"]
    assert (str(request.path), options.target) == ("shop", "api")


def test_a_format_that_is_none_is_a_usage_error(world: World) -> None:
    ran = world.run("graph", "-format", "png")
    assert ran.code == 1 and "-format is one of mermaid, dot, svg" in ran.err and not world.asked


def test_a_graph_with_a_silent_host_is_5(world: World) -> None:
    world.plan = samples.plan(samples.bump(1), silent={"hv9": "no route"})
    assert world.run("graph").code == 5
