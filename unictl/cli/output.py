"""Output of a plan as text, JSON, Markdown, HTML or a graph. Showing a saved plan contacts no host."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from unictl.cli import requests
from unictl.cli.arguments import Arguments
from unictl.cli.streams import Streams
from unictl.diagnostics.failure import Failure, Unreachable, UsageFailure

if TYPE_CHECKING:
    from unictl.plan.model.plan import Plan

GRAPH_FORMATS = ("mermaid", "dot", "svg")


def show_plan(
    shown_plan: Plan, arguments: Arguments, streams: Streams, codes: Iterable[int], next_steps: tuple[str, ...]
) -> None:
    """A plan as it was asked for; ``next_steps`` is what to type next."""
    from unictl.views import documents, markdown
    from unictl.views.text import plan_text

    if arguments.html:
        from unictl.operations.planning import plans
        from unictl.views.html import page

        plans.write_private(Path(arguments.html), page.render(shown_plan))
        next_steps = (*next_steps, f"Wrote the page {arguments.html}.")
    if arguments.json:
        streams.put(documents.to_text(documents.plan_document(shown_plan, codes)))
    elif arguments.markdown:
        streams.put(markdown.render(shown_plan))
    else:
        streams.write(plan_text.render(shown_plan, streams.width, verbose=arguments.verbose, next_steps=next_steps))


def show_saved_plan(arguments: Arguments, streams: Streams) -> int:
    """A saved plan, also one of an older format."""
    from unictl.operations.planning import plans

    show_plan(plans.open_plan(Path(arguments.path)), arguments, streams, (), ())
    return 0


def show_graph(arguments: Arguments, streams: Streams) -> int:
    """What a plan does and in which order; a refused one too."""
    from unictl.operations.planning import plans
    from unictl.views.graph import formats, step_graph

    graph_format = arguments.format or GRAPH_FORMATS[0]
    if graph_format not in GRAPH_FORMATS:
        raise UsageFailure(f"there is no format {graph_format!r}", hint=f"-format is one of {', '.join(GRAPH_FORMATS)}")
    if plans.is_planfile(Path(arguments.path)):
        requests.reject_options_with_plan_file(arguments)
        drawn_plan = plans.open_plan(Path(arguments.path))
    else:
        drawn_plan = plans.make_plan(
            requests.fleet_request(arguments, streams.environment), requests.plan_options(arguments)
        )
    picture = step_graph.draw_steps(drawn_plan) if arguments.steps else step_graph.draw_folded(drawn_plan)
    try:
        streams.put(
            {"mermaid": formats.to_mermaid, "dot": formats.to_dot, "svg": formats.to_svg}[graph_format](picture)
        )
    except formats.TooLarge as problem:
        raise Failure(f"the graph is too large: {problem}", hint=_SMALLER) from None
    return Unreachable.code if drawn_plan.silent else 0


_SMALLER = "leave out -steps, narrow the plan with -target, or use -format dot"
