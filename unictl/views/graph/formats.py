"""A drawing as Mermaid, DOT or SVG. Pure. Text of a fleet file cannot become markup in any of them."""

import re
from html import escape
from itertools import pairwise

from unictl.views.graph.layered_layout import Layout, arrange
from unictl.views.graph.step_graph import Drawing, Node

MERMAID_EDGES, MERMAID_CHARACTERS = 500, 50_000
"""What Mermaid draws where nobody has told it otherwise, as on a forge."""
SVG_BOXES = 2_000
"""More boxes than that take seconds to lay out, and are no picture that somebody reads."""
_FILLS = {"destroy": "#f3c9c5", "replace": "#f6e2b3", "create": "#cfe8cf", "adjust": "#cfe3ee", "": "#ececec"}
_BOLD_WIDTH, _LETTER_WIDTH, _LINE_HEIGHT, _PADDING = 8.4, 7.4, 18.0, 12.0


class TooLarge(ValueError):
    """The drawing is more than what draws it takes; the text says how much more."""


def to_mermaid(drawing: Drawing) -> str:
    """A flowchart from left to right; TooLarge where Mermaid would refuse it."""
    names = _node_names(drawing)
    lines = ["flowchart LR"]
    lines += [f'  {names[node.id]}["{"<br/>".join(map(_escape_mermaid, node.lines))}"]' for node in drawing.nodes]
    lines += [f"  {names[start]} --> {names[target]}" for start, target in drawing.edges]
    for style, fill in _FILLS.items():
        styled = [names[node.id] for node in drawing.nodes if node.style == style]
        if styled:
            word = style or "other"
            lines += [f"  classDef {word} fill:{fill},stroke:#555,color:#111", f"  class {','.join(styled)} {word}"]
    text = "\n".join(lines) + "\n"
    if len(drawing.edges) > MERMAID_EDGES or len(text) > MERMAID_CHARACTERS:
        raise TooLarge(f"{len(drawing.edges)} edges in {len(text)} characters, and Mermaid takes 500 in 50,000")
    return text


def to_dot(drawing: Drawing) -> str:
    """A digraph from left to right."""
    names = _node_names(drawing)
    font = 'fontname="sans-serif"'
    lines = ["digraph plan {", "  rankdir=LR", f'  node [shape=box, style="rounded,filled", {font}]']
    for node in drawing.nodes:
        label = "\\n".join(re.sub(r'(["\\])', r"\\\1", line) for line in node.lines)
        lines.append(f'  {names[node.id]} [label="{label}", fillcolor="{_FILLS[node.style]}"]')
    lines += [f"  {names[start]} -> {names[target]}" for start, target in drawing.edges]
    return "\n".join([*lines, "}"]) + "\n"


def to_svg(drawing: Drawing, *, with_style: bool = True) -> str:
    """A picture that needs nothing else; ``with_style`` false leaves out the colours, for a page that has them.

    TooLarge where nobody would look at it.
    """
    if len(drawing.nodes) > SVG_BOXES:
        raise TooLarge(f"{len(drawing.nodes)} boxes, and a picture takes {SVG_BOXES}")
    placed = arrange({node.id: _node_size(node) for node in drawing.nodes}, drawing.edges)
    size = (
        f'width="{placed.width:.0f}" height="{placed.height:.0f}" viewBox="0 0 {placed.width:.0f} {placed.height:.0f}"'
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="img" aria-label="{_aria_label(drawing)}" {size}>'
    ]
    parts += [f"<style>{STYLE}</style>"] if with_style else []
    parts += [f'<path class="edge" d="{_path_data(placed.routes[edge])}"/>' for edge in drawing.edges]
    parts += [_arrow_tip(placed, target) for _, target in dict.fromkeys(("", target) for _, target in drawing.edges)]
    parts += [_node_box(node, placed) for node in drawing.nodes]
    return "\n".join([*parts, "</svg>"]) + "\n"


STYLE = """
.graph { font: 13px/1.4 system-ui, sans-serif; background: #fff; color: #1f2328; }
.graph rect { fill: #f2f2ef; stroke: #8a8a84; rx: 6px; }
.graph text { fill: currentColor; } .graph .name { font-weight: 600; } .graph .what { opacity: .8; }
.graph .edge { fill: none; stroke: #9a9a94; stroke-width: 1.5; } .graph .tip { fill: #9a9a94; }
.graph .destroy rect { fill: #fbe3e0; stroke: #c0392b; } .graph .replace rect { fill: #fbf0d2; stroke: #b7861b; }
.graph .create rect { fill: #e2f2e2; stroke: #3d8b40; } .graph .adjust rect { fill: #e1eff6; stroke: #3a7ca5; }
@media (prefers-color-scheme: dark) {
.graph { background: #16181b; color: #e6e6e3; } .graph rect { fill: #24272b; stroke: #6d7178; }
.graph .destroy rect { fill: #43201d; stroke: #e0695c; } .graph .replace rect { fill: #3d3217; stroke: #d6a935; }
.graph .create rect { fill: #1d3620; stroke: #6bbf6e; } .graph .adjust rect { fill: #18303e; stroke: #6db3da; }
}"""


def _node_names(drawing: Drawing) -> dict[str, str]:
    """Names of our own for every node: what a service is called may be a word of the format."""
    return {node.id: f"n{index}" for index, node in enumerate(drawing.nodes)}


def _escape_mermaid(text: str) -> str:
    """A text in Mermaid's quotes: everything that is not surely a letter by its number."""
    return re.sub(r"[^\w .,:+/=()-]", lambda match: f"#{ord(match[0])};", text)


def _aria_label(drawing: Drawing) -> str:
    return f"{len(drawing.nodes)} boxes, {len(drawing.edges)} arrows: what waits for what"


def _node_size(node: Node) -> tuple[float, float]:
    name, *other_lines = node.lines
    width = max(_BOLD_WIDTH * len(name), *(_LETTER_WIDTH * len(line) for line in other_lines), 0.0)
    return (2 * _PADDING + width, 2 * _PADDING - 4 + _LINE_HEIGHT * len(node.lines))


def _path_data(points: tuple[tuple[float, float], ...]) -> str:
    """Curves between layers, straight across them; it ends where its tip begins."""
    *inner_points, (end, last_y) = points
    route = [*inner_points, (end - 7, last_y)]
    commands = [f"M{route[0][0]:.1f},{route[0][1]:.1f}"]
    for index, ((start_x, start_y), (end_x, end_y)) in enumerate(pairwise(route)):
        middle = (start_x + end_x) / 2
        commands.append(
            f"L{end_x:.1f},{end_y:.1f}"
            if index % 2
            else f"C{middle:.1f},{start_y:.1f} {middle:.1f},{end_y:.1f} {end_x:.1f},{end_y:.1f}"
        )
    return " ".join(commands)


def _arrow_tip(placed: Layout, node: str) -> str:
    """One arrow's tip a box, however many arrows end there."""
    box = placed.boxes[node]
    tip_x, tip_y = box.x, box.y + box.height / 2
    return f'<path class="tip" d="M{tip_x:.1f},{tip_y:.1f} l-8,-4 v8 z"/>'


def _node_box(node: Node, placed: Layout) -> str:
    box = placed.boxes[node.id]
    words = ""
    for index, line in enumerate(node.lines):
        style_class = "what" if index else "name"
        text_x, text_y = box.x + _PADDING, box.y + _PADDING + 11 + index * _LINE_HEIGHT
        words += f'<text class="{style_class}" x="{text_x:.1f}" y="{text_y:.1f}">{escape(line)}</text>'
    shape = f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"/>'
    return f'<g class="{node.style or "other"}">{shape}{words}</g>'
