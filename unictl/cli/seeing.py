"""How a plan is seen: as text, JSON, Markdown, one HTML page, a graph. Looking at a saved one asks no host."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from unictl.cli import asked
from unictl.cli.arguments import Arguments
from unictl.cli.streams import Streams
from unictl.diagnostics.failure import Failure, Unreachable, UsageFailure

if TYPE_CHECKING:
    from unictl.plan.plan import Plan

FORMATS = ("mermaid", "dot", "svg")


def put(made: Plan, arguments: Arguments, streams: Streams, codes: Iterable[int], following: tuple[str, ...]) -> None:
    """A plan as it was asked for; ``following`` is what to type next."""
    from unictl.views import json, markdown, text

    if arguments.html:
        from unictl.operations import plan as planning
        from unictl.views import page

        planning.write(Path(arguments.html), page.plan(made))
        following = (*following, f"Wrote the page {arguments.html}.")
    if arguments.json:
        streams.put(json.whole(json.plan(made, codes)))
    elif arguments.markdown:
        streams.put(markdown.plan(made))
    else:
        streams.write(text.plan(made, streams.width, verbose=arguments.verbose, following=following))


def show_plan(arguments: Arguments, streams: Streams) -> int:
    """A saved plan, also one of an older format."""
    from unictl.operations import plan as planning

    put(planning.open_plan(Path(arguments.path)), arguments, streams, (), ())
    return 0


def graph(arguments: Arguments, streams: Streams) -> int:
    """What a plan does and in which order; a refused one too."""
    from unictl.operations import plan as planning
    from unictl.views import drawing, graph

    chosen = arguments.format or FORMATS[0]
    if chosen not in FORMATS:
        raise UsageFailure(f"there is no format {chosen!r}", hint=f"-format is one of {', '.join(FORMATS)}")
    if planning.is_planfile(Path(arguments.path)):
        asked.only_a_plan_file(arguments)
        made = planning.open_plan(Path(arguments.path))
    else:
        made = planning.plan(asked.fleet(arguments, streams.environment), asked.narrowing(arguments))
    drawn = drawing.steps(made) if arguments.steps else drawing.folded(made)
    try:
        streams.put({"mermaid": graph.mermaid, "dot": graph.dot, "svg": graph.svg}[chosen](drawn))
    except graph.TooLarge as problem:
        raise Failure(f"the graph is too large: {problem}", hint=_SMALLER) from None
    return Unreachable.code if made.silent else 0


_SMALLER = "leave out -steps, narrow the plan with -target, or use -format dot"
