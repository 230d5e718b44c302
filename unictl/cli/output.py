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

FORMATS = ("mermaid", "dot", "svg")


def put(made: Plan, arguments: Arguments, streams: Streams, codes: Iterable[int], following: tuple[str, ...]) -> None:
    """A plan as it was asked for; ``following`` is what to type next."""
    from unictl.views import documents, markdown
    from unictl.views.text import plan_text

    if arguments.html:
        from unictl.operations.planning import plans
        from unictl.views.html import page

        plans.write(Path(arguments.html), page.plan(made))
        following = (*following, f"Wrote the page {arguments.html}.")
    if arguments.json:
        streams.put(documents.whole(documents.plan(made, codes)))
    elif arguments.markdown:
        streams.put(markdown.plan(made))
    else:
        streams.write(plan_text.plan(made, streams.width, verbose=arguments.verbose, following=following))


def show_plan(arguments: Arguments, streams: Streams) -> int:
    """A saved plan, also one of an older format."""
    from unictl.operations.planning import plans

    put(plans.open_plan(Path(arguments.path)), arguments, streams, (), ())
    return 0


def graph(arguments: Arguments, streams: Streams) -> int:
    """What a plan does and in which order; a refused one too."""
    from unictl.operations.planning import plans
    from unictl.views.graph import formats, step_graph

    chosen = arguments.format or FORMATS[0]
    if chosen not in FORMATS:
        raise UsageFailure(f"there is no format {chosen!r}", hint=f"-format is one of {', '.join(FORMATS)}")
    if plans.is_planfile(Path(arguments.path)):
        requests.only_a_plan_file(arguments)
        made = plans.open_plan(Path(arguments.path))
    else:
        made = plans.plan(requests.fleet(arguments, streams.environment), requests.narrowing(arguments))
    drawn = step_graph.steps(made) if arguments.steps else step_graph.folded(made)
    try:
        streams.put({"mermaid": formats.mermaid, "dot": formats.dot, "svg": formats.svg}[chosen](drawn))
    except formats.TooLarge as problem:
        raise Failure(f"the graph is too large: {problem}", hint=_SMALLER) from None
    return Unreachable.code if made.silent else 0


_SMALLER = "leave out -steps, narrow the plan with -target, or use -format dot"
