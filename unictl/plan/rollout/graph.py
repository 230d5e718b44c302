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


def order(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps so that each comes after what it needs, else as given. ValueError where they go in a circle."""
    known = {step.id: n for n, step in enumerate(steps)}
    waiting = [len(step.needs) for step in steps]
    followers: defaultdict[int, list[int]] = defaultdict(list)
    for n, step in enumerate(steps):
        for need in step.needs:
            followers[known[need]].append(n)
    ready = [n for n, count in enumerate(waiting) if count == 0]
    heapify(ready)
    found: list[Step] = []
    while ready:
        n = heappop(ready)
        found.append(steps[n])
        for follower in followers[n]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heappush(ready, follower)
    if len(found) < len(steps):
        raise ValueError(f"steps wait for each other: {', '.join(cycle(steps))}")
    return tuple(found)


def check(steps: Sequence[Step]) -> tuple[str, ...]:
    """What is wrong with a graph, in sentences: ids twice, needs that are no step, circles. Empty where it is sound."""
    counts: defaultdict[str, int] = defaultdict(int)
    for step in steps:
        counts[step.id] += 1
    found = [f"{name} is there {count} times" for name, count in counts.items() if count > 1]
    found += [
        f"{step.id} needs {need}, which is no step" for step in steps for need in step.needs if need not in counts
    ]
    if found:
        return tuple(found)
    circle = cycle(steps)
    return (f"steps wait for each other: {', '.join(circle)}",) if circle else ()


def cycle(steps: Iterable[Step]) -> tuple[str, ...]:
    """The ids of one circle, or nothing."""
    import networkx

    try:
        return tuple(edge[0] for edge in networkx.find_cycle(_graph(steps)))
    except networkx.NetworkXNoCycle:
        return ()


def descendants(steps: Iterable[Step], of: str) -> frozenset[str]:
    """The ids of everything that needs ``of``, near or far: what does not start when it fails."""
    import networkx

    return frozenset(networkx.descendants(_graph(steps), of))


def critical_path(steps: Sequence[Step], cost: Callable[[Step], float]) -> tuple[Step, ...]:
    """The steps that decide how long it takes, if each costs that much."""
    import networkx

    graph = _graph(steps)
    by_id = {step.id: step for step in steps}
    for one, two in graph.edges:
        graph.edges[one, two]["weight"] = cost(by_id[one])
    return tuple(by_id[name] for name in networkx.dag_longest_path(graph))


def longest(ordered: Sequence[Step], cost: Callable[[Step], float]) -> float:
    """What the longest path costs; the steps come in ``order``."""
    ends: dict[str, float] = {}
    for step in ordered:
        ends[step.id] = cost(step) + max((ends[need] for need in step.needs), default=0.0)
    return max(ends.values(), default=0.0)


def edges(steps: Iterable[Step]) -> int:
    """How many there are."""
    return sum(len(step.needs) for step in steps)


def _graph(steps: Iterable[Step]) -> "networkx.DiGraph[str]":
    import networkx

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for step in steps:
        graph.add_node(step.id)
        graph.add_edges_from((need, step.id) for need in step.needs)
    return graph
