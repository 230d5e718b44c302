"""Layered layout of a graph from left to right: layer, order and position of each node. Pure and deterministic.

Longest-path layering; edges over several layers pass through placeholders, so that no edge crosses a box;
barycentre
ordering; then boxes move towards their neighbours. Sizes are pixels.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Edge = tuple[str, str]
_SWEEPS = 8
GAP, BETWEEN, MARGIN = 14.0, 56.0, 16.0
"""Between two boxes of a layer, between two layers, around all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where a node is: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Every box by its node, and of every edge the points it goes through, from left to right."""

    boxes: Mapping[str, Box]
    routes: Mapping[Edge, tuple[tuple[float, float], ...]]
    width: float
    height: float


def layers(nodes: Sequence[str], edges: Iterable[Edge]) -> dict[str, int]:
    """Each node's layer: the length of the longest path to it. ValueError where edges go in a circle."""
    after: defaultdict[str, list[str]] = defaultdict(list)
    waiting = dict.fromkeys(nodes, 0)
    for one, two in edges:
        after[one].append(two)
        waiting[two] += 1
    found = dict.fromkeys((node for node in nodes if not waiting[node]), 0)
    ready = list(found)
    for node in ready:
        for other in after[node]:
            found[other] = max(found.get(other, 0), found[node] + 1)
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    if len(ready) < len(waiting):
        raise ValueError("edges go in a circle")
    return found


def reduced(nodes: Sequence[str], edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """The edges without those that a longer way says already, in the order of the nodes."""
    known = set(edges)
    place = {node: n for n, node in enumerate(nodes)}
    depth = layers(nodes, known)
    after: defaultdict[str, list[str]] = defaultdict(list)
    for one, two in sorted(known, key=lambda edge: (place[edge[0]], place[edge[1]])):
        after[one].append(two)
    reach: dict[str, set[str]] = {}
    kept: list[Edge] = []
    for node in sorted(nodes, key=lambda each: -depth[each]):
        reach[node] = set()
        for other in sorted(after[node], key=lambda each: depth[each]):
            if other not in reach[node]:
                kept.append((node, other))
            reach[node] |= {other} | reach[other]
    return tuple(sorted(kept, key=lambda edge: (place[edge[0]], place[edge[1]])))


def layout(sizes: Mapping[str, tuple[float, float]], edges: Sequence[Edge]) -> Layout:
    """Boxes of these sizes for the nodes of an acyclic graph; no two overlap, every edge goes to the right."""
    nodes = list(sizes)
    depth = layers(nodes, edges)
    chains = {edge: _chain(edge, depth) for edge in edges}
    columns, links = _columns(nodes, depth, chains)
    _ordered(columns, links)
    heights = {node: sizes[node][1] if node in sizes else 0.0 for column in columns for node in column}
    tops = _tops(columns, links, heights)
    widths = [max((sizes[node][0] for node in column if node in sizes), default=0.0) for column in columns]
    lefts = [MARGIN + sum(widths[:n]) + BETWEEN * n for n in range(len(widths))]
    boxes = {
        node: Box(x=lefts[depth[node]], y=tops[node], width=widths[depth[node]], height=heights[node]) for node in nodes
    }
    routes = {edge: _route(edge, chain, boxes, tops, lefts, widths, depth) for edge, chain in chains.items()}
    return Layout(
        boxes=boxes,
        routes=routes,
        width=(lefts[-1] + widths[-1] if widths else 0.0) + MARGIN,
        height=max((box.y + box.height for box in boxes.values()), default=0.0) + MARGIN,
    )


def _chain(edge: Edge, depth: Mapping[str, int]) -> tuple[str, ...]:
    """The placeholders of an edge, one for each layer that it passes: a name that no node has."""
    one, two = edge
    return tuple(f"\0{one}\0{two}\0{n}" for n in range(depth[one] + 1, depth[two]))


Links = dict[str, tuple[list[str], list[str]]]
"""What a node is joined to: on its left, on its right."""


def _columns(
    nodes: Sequence[str], depth: Mapping[str, int], chains: Mapping[Edge, tuple[str, ...]]
) -> tuple[list[list[str]], Links]:
    columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    links: Links = {}
    for node in nodes:
        columns[depth[node]].append(node)
        links[node] = ([], [])
    for (one, two), chain in chains.items():
        for n, each in enumerate(chain, depth[one] + 1):
            columns[n].append(each)
            links[each] = ([], [])
        way = (one, *chain, two)
        for left, right in pairwise(way):
            links[left][1].append(right)
            links[right][0].append(left)
    return columns, links


def _ordered(columns: list[list[str]], links: Links) -> None:
    """Sort each layer by the mean place of what it is joined to, to and fro."""
    for sweep in range(_SWEEPS):
        side = sweep % 2
        order = range(1, len(columns)) if side == 0 else range(len(columns) - 2, -1, -1)
        place = {node: n for column in columns for n, node in enumerate(column)}
        for n in order:
            columns[n].sort(key=lambda node: _mean([place[o] for o in links[node][side]], place[node]))
            place |= {node: at for at, node in enumerate(columns[n])}


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _tops(columns: Sequence[Sequence[str]], links: Links, heights: Mapping[str, float]) -> dict[str, float]:
    """Where each begins: as near to the middle of what it is joined to as its neighbours leave room."""
    tops: dict[str, float] = {}
    for column in columns:
        _stack(column, dict.fromkeys(column, 0.0), heights, tops)
    for sweep in range(_SWEEPS):
        side = sweep % 2
        for column in columns if side == 0 else reversed(columns):
            wanted = {
                node: _mean([tops[o] + heights[o] / 2 for o in links[node][side]], tops[node] + heights[node] / 2)
                - heights[node] / 2
                for node in column
            }
            _stack(column, wanted, heights, tops)
    least = min(tops.values(), default=0.0)
    return {node: round(top - least + MARGIN, 1) for node, top in tops.items()}


def _stack(
    column: Sequence[str], wanted: Mapping[str, float], heights: Mapping[str, float], tops: dict[str, float]
) -> None:
    """One under the other in their order, each where it wants to be or below; then all back by what they were off."""
    end = float("-inf")
    for node in column:
        tops[node] = max(wanted[node], end)
        end = tops[node] + heights[node] + GAP
    off = _mean([tops[node] - wanted[node] for node in column], 0.0)
    for node in column:
        tops[node] -= off


def _route(
    edge: Edge,
    chain: Sequence[str],
    boxes: Mapping[str, Box],
    tops: Mapping[str, float],
    lefts: Sequence[float],
    widths: Sequence[float],
    depth: Mapping[str, int],
) -> tuple[tuple[float, float], ...]:
    """From the middle of a right side, level across every layer between, to the middle of a left side."""
    one, two = boxes[edge[0]], boxes[edge[1]]
    points = [(one.x + one.width, one.y + one.height / 2)]
    for n, each in enumerate(chain, depth[edge[0]] + 1):
        points += [(lefts[n], tops[each]), (lefts[n] + widths[n], tops[each])]
    return (*points, (two.x, two.y + two.height / 2))
