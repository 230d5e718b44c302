"""The steps of a plan as nodes and edges, independent of any format. Pure.

Folded: a node for each wave of a service; if those are too many, one for each service; then one for all that are
equivalent; finally one for all of a layer. `draw_steps` folds nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from unictl.fleet.names import InstanceKey
from unictl.plan.model.change import Action, Change
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step
from unictl.plan.model.step_traits import StepGroup, Subject
from unictl.plan.model.wave import WaveRecord
from unictl.views.graph.layered_layout import assign_layers, transitive_reduction
from unictl.views.text.layout import abbreviate, count_of, elide, sanitize
from unictl.views.text.sorting import natural_key
from unictl.views.text.styles import ACTION_STYLES

MAX_WAVES, MAX_NODES = 24, 40
"""How many waves are nodes of their own, and how many nodes are shown at all."""
_MAX_LABEL_LENGTH = 44
_RANK = ("destroy", "replace", "create", "adjust", "")


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


def draw_steps(plan: Plan) -> Drawing:
    """Every step by itself, barriers too: edges go through them."""
    nodes = tuple(Node(id=step.id, lines=_step_lines(step), style=step.traits.style) for step in plan.steps)
    return Drawing(nodes=nodes, edges=tuple((need, step.id) for step in plan.steps for need in step.needs))


def draw_folded(plan: Plan) -> Drawing:
    """What a person can read, whatever the size of the plan."""
    waves = _contract(plan, _wave_key)
    if len(waves.nodes) <= MAX_WAVES:
        return _reduce(waves)
    services = _reduce(_contract(plan, _service_key))
    if len(services.nodes) <= MAX_NODES:
        return services
    alike = _merge_nodes(services, _equivalence_keys(services))
    return alike if len(alike.nodes) <= MAX_NODES else _merge_nodes(services, _layer_keys(services))


def _step_lines(step: Step) -> tuple[str, ...]:
    if not step.traits.acts:
        return (elide(sanitize(step.id), _MAX_LABEL_LENGTH),)
    action_text = f"{step.kind.value} on {step.host}" if step.host else step.kind.value
    return (
        elide(sanitize(step.subject or step.service or step.id), _MAX_LABEL_LENGTH),
        elide(sanitize(action_text), _MAX_LABEL_LENGTH),
    )


NodeKey = tuple[str, int]
"""A service and a wave of it; of what belongs to no service, its kind and 0 with a colon in front."""


def _wave_key(step: Step) -> NodeKey | None:
    """Which node a step belongs to; of a barrier and of what is only noted, none."""
    traits = step.traits
    if traits.is_part_of_wave and step.service:
        return (step.service, max(step.wave, traits.first_wave))
    return (f":{traits.group.name}", 0) if traits.group else None


def _service_key(step: Step) -> NodeKey | None:
    key = _wave_key(step)
    return (key[0], 0) if key else None


def _contract(plan: Plan, key_of: Callable[[Step], NodeKey | None]) -> Drawing:
    """The graph in which all steps of one key are one node; what has no key is an edge."""
    members: defaultdict[NodeKey, list[Step]] = defaultdict(list)
    keys_behind: dict[str, frozenset[NodeKey]] = {}
    order: dict[NodeKey, int] = {}
    edges: set[tuple[NodeKey, NodeKey]] = set()
    for step in plan.steps:
        predecessors: frozenset[NodeKey] = frozenset().union(*(keys_behind[need] for need in step.needs))
        key = key_of(step)
        if key is None:
            keys_behind[step.id] = predecessors
            continue
        order.setdefault(key, len(order))
        members[key].append(step)
        keys_behind[step.id] = frozenset((key,))
        edges |= {(source, key) for source in predecessors if source != key}
    # Two services may wait for each other's waves; as drawn, what comes first in the plan comes first.
    forward = {(_node_id(start), _node_id(target)) for start, target in edges if order[start] < order[target]}
    nodes = _build_nodes(plan, members)
    return Drawing(nodes=nodes, edges=tuple(forward))


def _reduce(drawing: Drawing) -> Drawing:
    """The drawing without the edges that a longer path implies."""
    return replace(drawing, edges=transitive_reduction([node.id for node in drawing.nodes], drawing.edges))


def _node_id(key: NodeKey) -> str:
    return f"{key[0]}:{key[1]}"


def _build_nodes(plan: Plan, members: Mapping[NodeKey, Sequence[Step]]) -> tuple[Node, ...]:
    changes = {change.subject: change for change in plan.changes}
    last_waves = Counter(
        {
            service: max(member_wave for member_service, member_wave in members if member_service == service)
            for service in {member_service for member_service, _ in members}
        }
    )
    waves = {_node_id((wave.service, wave.number)): wave for wave in plan.waves}
    return tuple(
        _build_node(key, node_steps, changes, last_waves[key[0]], waves) for key, node_steps in members.items()
    )


def _build_node(
    key: NodeKey,
    steps: Sequence[Step],
    changes: Mapping[str, Change],
    last_wave: int,
    waves: Mapping[str, WaveRecord],
) -> Node:
    service = key[0]
    group = steps[0].traits.group
    if group and service.startswith(":"):
        return Node(id=_node_id(key), lines=_group_lines(group, steps), style=group.style)
    instance_steps = (step for step in steps if step.traits.subject is Subject.INSTANCE)
    names = dict.fromkeys(InstanceKey(step.subject).name for step in instance_steps)
    actions = Counter(_action_style(changes[name]) for name in names if name in changes)
    style = next((candidate for candidate in _RANK if actions[candidate]), "")
    lines = (
        elide(sanitize(service), _MAX_LABEL_LENGTH),
        *_wave_lines(key, last_wave, waves),
        *_action_lines(actions, names),
    )
    return Node(id=_node_id(key), lines=lines, style=style)


def _group_lines(group: StepGroup, steps: Sequence[Step]) -> tuple[str, str]:
    """What is done, and to how many."""
    hosts = {step.host for step in steps}
    subjects = hosts if group.noun == "host" else {step.subject for step in steps}
    destination = f" to {count_of(len(hosts), 'host')}" if group.counts_hosts else ""
    return (group.title, f"{count_of(len(subjects), group.noun)}{destination}")


def _wave_lines(key: NodeKey, last_wave: int, waves: Mapping[str, WaveRecord]) -> list[str]:
    """Which wave of how many, or how many there are."""
    service, number = key
    if number == 0 and last_wave:
        return ["makes way first"]
    if last_wave > 1:
        wave = waves.get(_node_id(key))
        return [f"wave {number} of {last_wave}{', canary' if wave and wave.is_canary else ''}"]
    count = sum(wave.service == service for wave in waves.values())
    return [count_of(count, "wave")] if count > 1 else []


def _action_style(change: Change) -> str:
    """What a box says of a change: also of one that is kept, of which a twin goes."""
    return ACTION_STYLES.get(change.action, "destroy" if change.action is Action.KEEP else "")


def _action_lines(actions: Counter[str], names: Iterable[str]) -> list[str]:
    """``replace 2: api-0, api-1``; of several actions, their numbers."""
    counted_actions = [(style, actions[style]) for style in _RANK if style and actions[style]]
    if len(counted_actions) != 1:
        return [", ".join(f"{style} {number}" for style, number in counted_actions)] if counted_actions else []
    shown = abbreviate(sorted(map(sanitize, names), key=natural_key), 2)
    return [
        elide(
            f"{counted_actions[0][0]} {shown}"
            if counted_actions[0][1] < 3
            else f"{counted_actions[0][0]} {counted_actions[0][1]}: {shown}",
            _MAX_LABEL_LENGTH,
        )
    ]


def _equivalence_keys(drawing: Drawing) -> dict[str, tuple[object, ...]]:
    """Nodes that wait for the same, are waited for by the same, and do the same kind of thing, by one key."""
    before: defaultdict[str, list[str]] = defaultdict(list)
    after: defaultdict[str, list[str]] = defaultdict(list)
    for start, target in drawing.edges:
        before[target].append(start)
        after[start].append(target)
    return {
        node.id: (node.style, tuple(sorted(before[node.id])), tuple(sorted(after[node.id]))) for node in drawing.nodes
    }


def _layer_keys(drawing: Drawing) -> dict[str, tuple[object, ...]]:
    layer_by_node = assign_layers([node.id for node in drawing.nodes], drawing.edges)
    return {node.id: (layer_by_node[node.id], node.style) for node in drawing.nodes}


def _merge_nodes(drawing: Drawing, keys: Mapping[str, tuple[object, ...]]) -> Drawing:
    """The nodes of one key as one; its lines name the first of them."""
    groups: defaultdict[tuple[object, ...], list[Node]] = defaultdict(list)
    for node in drawing.nodes:
        groups[keys[node.id]].append(node)
    representative = {node.id: group[0].id for group in groups.values() for node in group}
    edges = {
        (representative[start], representative[target])
        for start, target in drawing.edges
        if representative[start] != representative[target]
    }
    nodes = tuple(_merge_group(group) for group in groups.values())
    return _reduce(Drawing(nodes=nodes, edges=tuple(edges)))


def _merge_group(group: Sequence[Node]) -> Node:
    first = group[0]
    if len(group) == 1:
        return first
    names = sorted((node.lines[0] for node in group), key=natural_key)
    title = count_of(len(group), "service")
    return replace(
        first,
        lines=(f"{title}, {first.style}" if first.style else title, elide(abbreviate(names, 2), _MAX_LABEL_LENGTH)),
    )
