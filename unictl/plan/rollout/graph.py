"""The steps of a plan as a directed graph: order, cycles, what depends on a step, the critical path. Pure.

The graph is a ``networkx.DiGraph``. An edge leads from a step to each step that needs it. A node is the position of its
step in the order in which the steps were given: numbers are faster than ids, and sort into that order.

networkx is imported by the first function that needs it, not with this module: loading it takes longer than planning a
small fleet, and a plan without changes has no graph.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from unictl.plan.model.step import Step, StepId

if TYPE_CHECKING:
    import networkx

_ROOT = -1
"""A node before all others, so that every step has an edge that leads to it and can bear its cost."""


def topological_order(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps, each after what it needs; of those that may come next, the first one given.

    Steps that wait for a cycle are left out, see ``find_cycle``.
    """
    # Steps are usually created after what they need. Sorting would return the same order, at the cost of the graph.
    if _is_in_order(steps):
        return tuple(steps)
    import networkx

    ordered: list[Step] = []
    # The error is raised once only steps that wait for a cycle are left.
    with suppress(networkx.NetworkXUnfeasible):
        for node in networkx.lexicographical_topological_sort(_build_digraph(steps)):
            ordered.append(steps[node])  # noqa: PERF401 - the steps before the error are kept
    return tuple(ordered)


def find_cycle(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps of one cycle, each needed by the next and the last by the first; empty if there is none.

    It begins with the step that was given first.
    """
    import networkx

    try:
        edges = networkx.find_cycle(_build_digraph(steps))
    except networkx.NetworkXNoCycle:
        return ()
    nodes = [edge[0] for edge in edges]
    start = nodes.index(min(nodes))
    return tuple(steps[node] for node in nodes[start:] + nodes[:start])


def critical_path(ordered_steps: Sequence[Step], cost_of: Callable[[Step], float]) -> tuple[Step, ...]:
    """The chain of steps that costs most, and so decides how long all of them take.

    The steps come in ``topological_order``.
    """
    import networkx

    costs = [cost_of(step) for step in ordered_steps]
    first_nodes = [node for node, step in enumerate(ordered_steps) if not step.needs]
    digraph: networkx.DiGraph[int] = networkx.DiGraph()
    # networkx adds up the weights of edges, so a step's cost is the weight of each edge that leads to it.
    digraph.add_weighted_edges_from((_ROOT, node, costs[node]) for node in first_nodes)
    digraph.add_weighted_edges_from(
        (needed, node, costs[node]) for needed, node in _edges(ordered_steps, _positions(ordered_steps))
    )
    path = networkx.dag_longest_path(digraph, topo_order=range(_ROOT, len(ordered_steps)))
    return tuple(ordered_steps[node] for node in path if node != _ROOT)


class PendingSteps:
    """The graph of the steps that are not done yet. Steps leave it when they are done, and when they are skipped."""

    def __init__(self) -> None:
        import networkx

        self._digraph: networkx.DiGraph[int] = networkx.DiGraph()
        self._steps: list[Step] = []
        self._positions: dict[StepId, int] = {}

    def __contains__(self, step_id: StepId) -> bool:
        return self._positions[step_id] in self._digraph

    def add(self, steps: Sequence[Step]) -> None:
        """More steps, which need only each other or steps that are pending."""
        self._positions |= _positions(steps, first=len(self._steps))
        self._steps += steps
        self._digraph.add_nodes_from(self._positions[step.id] for step in steps)
        self._digraph.add_edges_from(_edges(steps, self._positions))

    def complete(self, step_id: StepId) -> tuple[Step, ...]:
        """Remove a step that succeeded; the steps that waited for it, and now for no other."""
        node = self._positions[step_id]
        dependents = tuple(self._digraph.successors(node))
        self._digraph.remove_node(node)
        return tuple(self._steps[dependent] for dependent in dependents if not self._digraph.in_degree(dependent))

    def abandon(self, step_id: StepId) -> tuple[Step, ...]:
        """Remove a step that failed or is skipped; all steps that depend on it go too, and are returned in order."""
        import networkx

        node = self._positions[step_id]
        dependents = networkx.descendants(self._digraph, node)
        self._digraph.remove_nodes_from((node, *dependents))
        return tuple(self._steps[dependent] for dependent in sorted(dependents))


def _is_in_order(steps: Sequence[Step]) -> bool:
    earlier_ids: set[StepId] = set()
    for step in steps:
        if not earlier_ids.issuperset(step.needs):
            return False
        earlier_ids.add(step.id)
    return True


def _build_digraph(steps: Sequence[Step]) -> "networkx.DiGraph[int]":
    import networkx

    digraph: networkx.DiGraph[int] = networkx.DiGraph()
    digraph.add_nodes_from(range(len(steps)))
    digraph.add_edges_from(_edges(steps, _positions(steps)))
    return digraph


def _positions(steps: Sequence[Step], first: int = 0) -> dict[StepId, int]:
    """The node of each step, by the step's id."""
    return {step.id: position for position, step in enumerate(steps, first)}


def _edges(steps: Sequence[Step], positions: Mapping[StepId, int]) -> Iterator[tuple[int, int]]:
    for step in steps:
        node = positions[step.id]
        for need in step.needs:
            yield positions[need], node
