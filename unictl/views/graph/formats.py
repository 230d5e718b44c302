"""A drawing as Mermaid, DOT or SVG. Pure. Text of a fleet file cannot become markup in any of them."""

import re
from html import escape
from itertools import pairwise

from unictl.views.graph.layered_layout import Layout, layout
from unictl.views.graph.step_graph import Drawing, Node

MERMAID_EDGES, MERMAID_LETTERS = 500, 50_000
"""What Mermaid draws where nobody has told it otherwise, as on a forge."""
SVG_BOXES = 2_000
"""More boxes than that take seconds to lay out, and are no picture that somebody reads."""
_FILLS = {"destroy": "#f3c9c5", "replace": "#f6e2b3", "create": "#cfe8cf", "adjust": "#cfe3ee", "": "#ececec"}
_BOLD, _LETTER, _LINE, _PAD = 8.4, 7.4, 18.0, 12.0


class TooLarge(ValueError):
    """The drawing is more than what draws it takes; the text says how much more."""


def mermaid(drawing: Drawing) -> str:
    """A flowchart from left to right; TooLarge where Mermaid would refuse it."""
    names = _names(drawing)
    lines = ["flowchart LR"]
    lines += [f'  {names[node.id]}["{"<br/>".join(map(_entities, node.lines))}"]' for node in drawing.nodes]
    lines += [f"  {names[one]} --> {names[two]}" for one, two in drawing.edges]
    for style, fill in _FILLS.items():
        styled = [names[node.id] for node in drawing.nodes if node.style == style]
        if styled:
            word = style or "other"
            lines += [f"  classDef {word} fill:{fill},stroke:#555,color:#111", f"  class {','.join(styled)} {word}"]
    text = "\n".join(lines) + "\n"
    if len(drawing.edges) > MERMAID_EDGES or len(text) > MERMAID_LETTERS:
        raise TooLarge(f"{len(drawing.edges)} edges in {len(text)} characters, and Mermaid takes 500 in 50,000")
    return text


def dot(drawing: Drawing) -> str:
    """A digraph from left to right."""
    names = _names(drawing)
    font = 'fontname="sans-serif"'
    lines = ["digraph plan {", "  rankdir=LR", f'  node [shape=box, style="rounded,filled", {font}]']
    for node in drawing.nodes:
        label = "\\n".join(re.sub(r'(["\\])', r"\\\1", line) for line in node.lines)
        lines.append(f'  {names[node.id]} [label="{label}", fillcolor="{_FILLS[node.style]}"]')
    lines += [f"  {names[one]} -> {names[two]}" for one, two in drawing.edges]
    return "\n".join([*lines, "}"]) + "\n"


def svg(drawing: Drawing, *, alone: bool = True) -> str:
    """A picture that needs nothing else; ``alone`` false leaves out the colours, for a page that has them.

    TooLarge where nobody would look at it.
    """
    if len(drawing.nodes) > SVG_BOXES:
        raise TooLarge(f"{len(drawing.nodes)} boxes, and a picture takes {SVG_BOXES}")
    laid = layout({node.id: _size(node) for node in drawing.nodes}, drawing.edges)
    size = f'width="{laid.width:.0f}" height="{laid.height:.0f}" viewBox="0 0 {laid.width:.0f} {laid.height:.0f}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="img" aria-label="{_label(drawing)}" {size}>']
    parts += [f"<style>{STYLE}</style>"] if alone else []
    parts += [f'<path class="edge" d="{_path(laid.routes[edge])}"/>' for edge in drawing.edges]
    parts += [_tip(laid, two) for _, two in dict.fromkeys(("", two) for _, two in drawing.edges)]
    parts += [_box(node, laid) for node in drawing.nodes]
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


def _names(drawing: Drawing) -> dict[str, str]:
    """Names of our own for every node: what a service is called may be a word of the format."""
    return {node.id: f"n{n}" for n, node in enumerate(drawing.nodes)}


def _entities(text: str) -> str:
    """A text in Mermaid's quotes: everything that is not surely a letter by its number."""
    return re.sub(r"[^\w .,:+/=()-]", lambda found: f"#{ord(found[0])};", text)


def _label(drawing: Drawing) -> str:
    return f"{len(drawing.nodes)} boxes, {len(drawing.edges)} arrows: what waits for what"


def _size(node: Node) -> tuple[float, float]:
    name, *rest = node.lines
    width = max(_BOLD * len(name), *(_LETTER * len(line) for line in rest), 0.0)
    return (2 * _PAD + width, 2 * _PAD - 4 + _LINE * len(node.lines))


def _path(points: tuple[tuple[float, float], ...]) -> str:
    """Curves between layers, straight across them; it ends where its tip begins."""
    *rest, (end, level) = points
    way = [*rest, (end - 7, level)]
    text = [f"M{way[0][0]:.1f},{way[0][1]:.1f}"]
    for n, ((x, y), (u, v)) in enumerate(pairwise(way)):
        middle = (x + u) / 2
        text.append(f"L{u:.1f},{v:.1f}" if n % 2 else f"C{middle:.1f},{y:.1f} {middle:.1f},{v:.1f} {u:.1f},{v:.1f}")
    return " ".join(text)


def _tip(laid: Layout, node: str) -> str:
    """One arrow's tip a box, however many arrows end there."""
    box = laid.boxes[node]
    x, y = box.x, box.y + box.height / 2
    return f'<path class="tip" d="M{x:.1f},{y:.1f} l-8,-4 v8 z"/>'


def _box(node: Node, laid: Layout) -> str:
    box = laid.boxes[node.id]
    words = "".join(
        f'<text class="{"what" if n else "name"}" x="{box.x + _PAD:.1f}" y="{box.y + _PAD + 11 + n * _LINE:.1f}">'
        f"{escape(line)}</text>"
        for n, line in enumerate(node.lines)
    )
    shape = f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"/>'
    return f'<g class="{node.style or "other"}">{shape}{words}</g>'
