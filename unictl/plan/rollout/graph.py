"""Steps as a graph: topological order, cycles, longest path. Pure; the only importer of networkx in the planner.

networkx is imported only where it is needed: loading it costs more than planning a small fleet.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from unictl.plan.model.step import Step

if TYPE_CHECKING:
    import networkx


def topological_order(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps so that each comes after what it needs, else as given. ValueError where they go in a circle."""
    index_by_id = {step.id: index for index, step in enumerate(steps)}
    open_needs = [len(step.needs) for step in steps]
    followers: defaultdict[int, list[int]] = defaultdict(list)
    for index, step in enumerate(steps):
        for need in step.needs:
            followers[index_by_id[need]].append(index)
    ready = [index for index, count in enumerate(open_needs) if count == 0]
    heapify(ready)
    ordered: list[Step] = []
    while ready:
        index = heappop(ready)
        ordered.append(steps[index])
        for follower in followers[index]:
            open_needs[follower] -= 1
            if open_needs[follower] == 0:
                heappush(ready, follower)
    if len(ordered) < len(steps):
        raise ValueError(f"steps wait for each other: {', '.join(find_cycle(steps))}")
    return tuple(ordered)


def find_problems(steps: Sequence[Step]) -> tuple[str, ...]:
    """What is wrong with a graph, in sentences: ids twice, needs that are no step, circles. Empty where it is sound."""
    counts: defaultdict[str, int] = defaultdict(int)
    for step in steps:
        counts[step.id] += 1
    problems = [f"{step_id} is there {count} times" for step_id, count in counts.items() if count > 1]
    problems += [
        f"{step.id} needs {need}, which is no step" for step in steps for need in step.needs if need not in counts
    ]
    if problems:
        return tuple(problems)
    circle = find_cycle(steps)
    return (f"steps wait for each other: {', '.join(circle)}",) if circle else ()


def find_cycle(steps: Iterable[Step]) -> tuple[str, ...]:
    """The ids of one circle, or nothing."""
    import networkx

    try:
        return tuple(edge[0] for edge in networkx.find_cycle(_digraph(steps)))
    except networkx.NetworkXNoCycle:
        return ()


def descendants(steps: Iterable[Step], step_id: str) -> frozenset[str]:
    """The ids of everything that needs ``step_id``, near or far: what does not start when it fails."""
    import networkx

    return frozenset(networkx.descendants(_digraph(steps), step_id))


def critical_path(steps: Sequence[Step], cost: Callable[[Step], float]) -> tuple[Step, ...]:
    """The steps that decide how long it takes, if each costs that much."""
    import networkx

    graph = _digraph(steps)
    by_id: dict[str, Step] = {step.id: step for step in steps}
    for source, target in graph.edges:
        graph.edges[source, target]["weight"] = cost(by_id[source])
    return tuple(by_id[step_id] for step_id in networkx.dag_longest_path(graph))


def longest_path_cost(ordered: Sequence[Step], cost: Callable[[Step], float]) -> float:
    """What the longest path costs; the steps come in ``topological_order``."""
    path_costs: dict[str, float] = {}
    for step in ordered:
        path_costs[step.id] = cost(step) + max((path_costs[need] for need in step.needs), default=0.0)
    return max(path_costs.values(), default=0.0)


def edge_count(steps: Iterable[Step]) -> int:
    """How many there are."""
    return sum(len(step.needs) for step in steps)


def _digraph(steps: Iterable[Step]) -> "networkx.DiGraph[str]":
    import networkx

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for step in steps:
        graph.add_node(step.id)
        graph.add_edges_from((need, step.id) for need in step.needs)
    return graph
