"""Layered layout of a graph from left to right: layer, order and position of each node. Pure and deterministic.

Longest-path layering; edges over several layers pass through placeholders, so that no edge crosses a box;
barycentre ordering; then boxes move towards their neighbours. Sizes are pixels.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Edge = tuple[str, str]
_SWEEP_COUNT = 8
MAX_REDUCED_NODES = 2_000
"""The time that a transitive reduction takes grows with the square of the graph: for 16,000 nodes it is 6 s."""
BOX_GAP, LAYER_GAP, MARGIN = 14.0, 56.0, 16.0
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


def assign_layers(nodes: Sequence[str], edges: Iterable[Edge]) -> dict[str, int]:
    """Each node's layer: the length of the longest path to it. ValueError where edges go in a circle."""
    after: defaultdict[str, list[str]] = defaultdict(list)
    pending_counts = dict.fromkeys(nodes, 0)
    for start, target in edges:
        after[start].append(target)
        pending_counts[target] += 1
    layer_by_node = dict.fromkeys((node for node in nodes if not pending_counts[node]), 0)
    ready = list(layer_by_node)
    for node in ready:
        for successor in after[node]:
            layer_by_node[successor] = max(layer_by_node.get(successor, 0), layer_by_node[node] + 1)
            pending_counts[successor] -= 1
            if not pending_counts[successor]:
                ready.append(successor)
    if len(ready) < len(pending_counts):
        raise ValueError("edges go in a circle")
    return layer_by_node


def transitive_reduction(nodes: Sequence[str], edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """The edges without those that a longer path implies, in the order of the nodes.

    Above ``MAX_REDUCED_NODES`` nodes, all the edges.
    """
    remaining_edges: Collection[Edge] = set(edges)
    # Two edges cannot imply a third. networkx is imported here: a drawing of nothing does without.
    if len(remaining_edges) > 2 and len(nodes) <= MAX_REDUCED_NODES:
        import networkx

        digraph: networkx.DiGraph[str] = networkx.DiGraph()
        digraph.add_edges_from(remaining_edges)
        remaining_edges = networkx.transitive_reduction(digraph).edges
    position_by_node = {node: index for index, node in enumerate(nodes)}
    return tuple(sorted(remaining_edges, key=lambda edge: (position_by_node[edge[0]], position_by_node[edge[1]])))


def arrange(sizes: Mapping[str, tuple[float, float]], edges: Sequence[Edge]) -> Layout:
    """Boxes of these sizes for the nodes of an acyclic graph; no two overlap, every edge goes to the right."""
    nodes = list(sizes)
    depth = assign_layers(nodes, edges)
    chains = {edge: _placeholders(edge, depth) for edge in edges}
    columns, links = _build_columns(nodes, depth, chains)
    _order_columns(columns, links)
    heights = {node: sizes[node][1] if node in sizes else 0.0 for column in columns for node in column}
    tops = _vertical_positions(columns, links, heights)
    widths = [max((sizes[node][0] for node in column if node in sizes), default=0.0) for column in columns]
    lefts = [MARGIN + sum(widths[:index]) + LAYER_GAP * index for index in range(len(widths))]
    boxes = {
        node: Box(x=lefts[depth[node]], y=tops[node], width=widths[depth[node]], height=heights[node]) for node in nodes
    }
    routes = {edge: _edge_route(edge, chain, boxes, tops, lefts, widths, depth) for edge, chain in chains.items()}
    return Layout(
        boxes=boxes,
        routes=routes,
        width=(lefts[-1] + widths[-1] if widths else 0.0) + MARGIN,
        height=max((box.y + box.height for box in boxes.values()), default=0.0) + MARGIN,
    )


def _placeholders(edge: Edge, depth: Mapping[str, int]) -> tuple[str, ...]:
    """The placeholders of an edge, one for each layer that it passes: a name that no node has."""
    start, target = edge
    return tuple(f"\0{start}\0{target}\0{layer}" for layer in range(depth[start] + 1, depth[target]))


Links = dict[str, tuple[list[str], list[str]]]
"""What a node is joined to: on its left, on its right."""


def _build_columns(
    nodes: Sequence[str], depth: Mapping[str, int], chains: Mapping[Edge, tuple[str, ...]]
) -> tuple[list[list[str]], Links]:
    columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    links: Links = {}
    for node in nodes:
        columns[depth[node]].append(node)
        links[node] = ([], [])
    for (start, end), chain in chains.items():
        for layer, placeholder in enumerate(chain, depth[start] + 1):
            columns[layer].append(placeholder)
            links[placeholder] = ([], [])
        path = (start, *chain, end)
        for source, target in pairwise(path):
            links[source][1].append(target)
            links[target][0].append(source)
    return columns, links


def _order_columns(columns: list[list[str]], links: Links) -> None:
    """Sort each layer by the mean place of what it is joined to, to and fro."""
    for sweep in range(_SWEEP_COUNT):
        side = sweep % 2
        order = range(1, len(columns)) if side == 0 else range(len(columns) - 2, -1, -1)
        position_by_node = {node: index for column in columns for index, node in enumerate(column)}
        for index in order:
            columns[index].sort(
                key=lambda node: _mean(
                    [position_by_node[neighbour] for neighbour in links[node][side]], position_by_node[node]
                )
            )
            position_by_node |= {node: position for position, node in enumerate(columns[index])}


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _vertical_positions(
    columns: Sequence[Sequence[str]], links: Links, heights: Mapping[str, float]
) -> dict[str, float]:
    """Where each begins: as near to the middle of what it is joined to as its neighbours leave room."""
    tops: dict[str, float] = {}
    for column in columns:
        _stack_column(column, dict.fromkeys(column, 0.0), heights, tops)
    for sweep in range(_SWEEP_COUNT):
        side = sweep % 2
        for column in columns if side == 0 else reversed(columns):
            desired_tops = {
                node: _mean(
                    [tops[neighbour] + heights[neighbour] / 2 for neighbour in links[node][side]],
                    tops[node] + heights[node] / 2,
                )
                - heights[node] / 2
                for node in column
            }
            _stack_column(column, desired_tops, heights, tops)
    least = min(tops.values(), default=0.0)
    return {node: round(top - least + MARGIN, 1) for node, top in tops.items()}


def _stack_column(
    column: Sequence[str], desired_tops: Mapping[str, float], heights: Mapping[str, float], tops: dict[str, float]
) -> None:
    """One under the other in their order, each where it wants to be or below; then all back by what they were off."""
    end = float("-inf")
    for node in column:
        tops[node] = max(desired_tops[node], end)
        end = tops[node] + heights[node] + BOX_GAP
    mean_offset = _mean([tops[node] - desired_tops[node] for node in column], 0.0)
    for node in column:
        tops[node] -= mean_offset


def _edge_route(
    edge: Edge,
    chain: Sequence[str],
    boxes: Mapping[str, Box],
    tops: Mapping[str, float],
    lefts: Sequence[float],
    widths: Sequence[float],
    depth: Mapping[str, int],
) -> tuple[tuple[float, float], ...]:
    """From the middle of a right side, level across every layer between, to the middle of a left side."""
    start_box, end_box = boxes[edge[0]], boxes[edge[1]]
    points = [(start_box.x + start_box.width, start_box.y + start_box.height / 2)]
    for layer, placeholder in enumerate(chain, depth[edge[0]] + 1):
        points += [(lefts[layer], tops[placeholder]), (lefts[layer] + widths[layer], tops[placeholder])]
    return (*points, (end_box.x, end_box.y + end_box.height / 2))
