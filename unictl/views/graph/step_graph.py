"""The steps of a plan as nodes and edges, independent of any format. Pure.

Folded: a node for each wave of a service; if those are too many, one for each service; then one for all that are
equivalent; finally one for all of a layer. `draw_steps` folds nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from unictl.plan.model.change import Action, Change
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Kind, Step
from unictl.views.graph.layered_layout import layers, reduced
from unictl.views.text.fold import natural
from unictl.views.text.layout import clean, counted, elide, some
from unictl.views.text.styles import ACTIONS

WAVES, NODES = 24, 40
"""How many waves are nodes of their own, and how many nodes are shown at all."""
_LONGEST = 44
_RANK = ("destroy", "replace", "create", "adjust", "")
_OTHERS = {
    "stage": ("bring images", "adjust", "image file"),
    "ingress": ("ingress", "adjust", "host"),
    "marks": ("marks", "adjust", "instance"),
    "delete": ("delete volumes", "destroy", "volume"),
    "close": ("leave hosts", "destroy", "host"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A box: what it is about first, then what is done. ``style`` is a style word of ``views.spans`` or empty."""

    id: str
    lines: tuple[str, ...]
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Boxes, and (from, to) where one waits for another; acyclic, nothing said twice."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()


def steps(plan: Plan) -> Drawing:
    """Every step by itself, barriers too: edges go through them."""
    nodes = tuple(Node(id=step.id, lines=_step_lines(step), style=_KINDS.get(step.kind, "")) for step in plan.steps)
    return Drawing(nodes=nodes, edges=tuple((need, step.id) for step in plan.steps for need in step.needs))


def folded(plan: Plan) -> Drawing:
    """What a person can read, whatever the size of the plan."""
    waves = _contracted(plan, _wave)
    if len(waves.nodes) <= WAVES:
        return waves
    services = _contracted(plan, _service)
    if len(services.nodes) <= NODES:
        return services
    alike = _merged(services, _alike(services))
    return alike if len(alike.nodes) <= NODES else _merged(services, _layered(services))


_KINDS = {
    Kind.LAUNCH: "create",
    Kind.PROVE: "create",
    Kind.RETIRE: "destroy",
    Kind.DELETE: "destroy",
    Kind.CLOSE: "destroy",
    Kind.JOIN: "adjust",
    Kind.LEAVE: "adjust",
    Kind.MARK: "adjust",
}


def _step_lines(step: Step) -> tuple[str, ...]:
    if step.kind is Kind.BARRIER:
        return (elide(clean(step.id), _LONGEST),)
    where = f"{step.kind.value} on {step.host}" if step.host else step.kind.value
    return (elide(clean(step.subject or step.service or step.id), _LONGEST), elide(clean(where), _LONGEST))


Key = tuple[str, int]
"""A service and a wave of it; of what belongs to no service, its kind and 0 with a colon in front."""


def _wave(step: Step) -> Key | None:
    """Which node a step belongs to; of a barrier and of what is only noted, none."""
    match step.kind:
        case Kind.BARRIER | Kind.REMEMBER:
            return None
        case Kind.STAGE | Kind.DELETE | Kind.CLOSE:
            return (f":{step.kind.value}", 0)
        case Kind.MARK:
            return (":marks", 0)
        case Kind.VOLUME:
            return (step.service, 1)
        case _:
            return (step.service, step.wave) if step.service else (":ingress", 0)


def _service(step: Step) -> Key | None:
    key = _wave(step)
    return (key[0], 0) if key else None


def _contracted(plan: Plan, key_of: Callable[[Step], Key | None]) -> Drawing:
    """The graph in which all steps of one key are one node; what has no key is an edge."""
    members: defaultdict[Key, list[Step]] = defaultdict(list)
    behind: dict[str, frozenset[Key]] = {}
    order: dict[Key, int] = {}
    edges: set[tuple[Key, Key]] = set()
    for step in plan.steps:
        before: frozenset[Key] = frozenset().union(*(behind[need] for need in step.needs))
        key = key_of(step)
        if key is None:
            behind[step.id] = before
            continue
        order.setdefault(key, len(order))
        members[key].append(step)
        behind[step.id] = frozenset((key,))
        edges |= {(each, key) for each in before if each != key}
    # Two services may wait for each other's waves; as drawn, what comes first in the plan comes first.
    forward = {(_id(a), _id(b)) for a, b in edges if order[a] < order[b]}
    nodes = _nodes(plan, members)
    return Drawing(nodes=nodes, edges=reduced([node.id for node in nodes], forward))


def _id(key: Key) -> str:
    return f"{key[0]}:{key[1]}"


def _nodes(plan: Plan, members: Mapping[Key, Sequence[Step]]) -> tuple[Node, ...]:
    changes = {change.subject: change for change in plan.changes}
    last = Counter({service: max(w for s, w in members if s == service) for service in {s for s, _ in members}})
    waves = {str(each["service"]) + f":{each['wave']}": each for each in plan.waves}
    return tuple(_node(key, found, changes, last[key[0]], waves) for key, found in members.items())


def _node(
    key: Key, steps: Sequence[Step], changes: Mapping[str, Change], last: int, waves: Mapping[str, Mapping[str, object]]
) -> Node:
    service = key[0]
    if service.startswith(":"):
        title, style, noun = _OTHERS[service[1:]]
        number = counted(len({step.host if noun == "host" else step.subject for step in steps}), noun)
        hosts = f" to {counted(len({step.host for step in steps}), 'host')}" if service == ":stage" else ""
        return Node(id=_id(key), lines=(title, f"{number}{hosts}"), style=style)
    names = dict.fromkeys(step.subject.partition(".")[0] for step in steps if step.kind in _OF_INSTANCES)
    actions = Counter(_action(changes[name]) for name in names if name in changes)
    style = next((each for each in _RANK if actions[each]), "")
    told = (elide(clean(service), _LONGEST), *_which(key, last, waves), *_what(actions, names))
    return Node(id=_id(key), lines=told, style=style)


def _which(key: Key, last: int, waves: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Which wave of how many, or how many there are."""
    service, number = key
    if number == 0 and last:
        return ["makes way first"]
    if last > 1:
        return [f"wave {number} of {last}{', canary' if waves.get(_id(key), {}).get('canary') else ''}"]
    count = sum(each["service"] == service for each in waves.values())
    return [counted(count, "wave")] if count > 1 else []


_OF_INSTANCES = (Kind.LAUNCH, Kind.PROVE, Kind.RETIRE)


def _action(change: Change) -> str:
    """What a box says of a change: also of one that is kept, of which a twin goes."""
    return ACTIONS.get(change.action, "destroy" if change.action is Action.KEEP else "")


def _what(actions: Counter[str], names: Iterable[str]) -> list[str]:
    """``replace 2: api-0, api-1``; of several actions, their numbers."""
    told = [(style, actions[style]) for style in _RANK if style and actions[style]]
    if len(told) != 1:
        return [", ".join(f"{style} {number}" for style, number in told)] if told else []
    shown = some(sorted(map(clean, names), key=natural), 2)
    return [elide(f"{told[0][0]} {shown}" if told[0][1] < 3 else f"{told[0][0]} {told[0][1]}: {shown}", _LONGEST)]


def _alike(drawing: Drawing) -> dict[str, tuple[object, ...]]:
    """Nodes that wait for the same, are waited for by the same, and do the same kind of thing, by one key."""
    before: defaultdict[str, list[str]] = defaultdict(list)
    after: defaultdict[str, list[str]] = defaultdict(list)
    for one, two in drawing.edges:
        before[two].append(one)
        after[one].append(two)
    return {
        node.id: (node.style, tuple(sorted(before[node.id])), tuple(sorted(after[node.id]))) for node in drawing.nodes
    }


def _layered(drawing: Drawing) -> dict[str, tuple[object, ...]]:
    found = layers([node.id for node in drawing.nodes], drawing.edges)
    return {node.id: (found[node.id], node.style) for node in drawing.nodes}


def _merged(drawing: Drawing, keys: Mapping[str, tuple[object, ...]]) -> Drawing:
    """The nodes of one key as one; its lines name the first of them."""
    groups: defaultdict[tuple[object, ...], list[Node]] = defaultdict(list)
    for node in drawing.nodes:
        groups[keys[node.id]].append(node)
    stands = {node.id: group[0].id for group in groups.values() for node in group}
    edges = {(stands[a], stands[b]) for a, b in drawing.edges if stands[a] != stands[b]}
    nodes = tuple(_together(group) for group in groups.values())
    return Drawing(nodes=nodes, edges=reduced([node.id for node in nodes], edges))


def _together(group: Sequence[Node]) -> Node:
    first = group[0]
    if len(group) == 1:
        return first
    names = sorted((node.lines[0] for node in group), key=natural)
    title = counted(len(group), "service")
    return replace(first, lines=(f"{title}, {first.style}" if first.style else title, elide(some(names, 2), _LONGEST)))
