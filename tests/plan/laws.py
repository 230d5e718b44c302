"""The laws of planning, as functions of a story: tests hold them, and mutations show that they bite."""

from dataclasses import replace
from random import Random
from typing import TypeVar

from tests.plan import builders
from tests.plan.builders import endpoints, facts, plan
from tests.plan.simulator import Simulator
from tests.plan.worlds import LOOSE, Story, applied, settled
from unictl.fleet.model import Fleet, Order
from unictl.instances.observed.host_state import Claim, Survey
from unictl.instances.placement import capacity
from unictl.plan.file import planfile
from unictl.plan.model.change import Action
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step, StepKind
from unictl.plan.planner import build
from unictl.plan.reconcile.classify import is_running, is_serving

FOREIGN = "intruder-7.0badcafe"
T = TypeVar("T")


def converged(story: Story) -> None:
    """A converged fleet plans nothing."""
    sim = applied(story.before, story.seed)
    again = plan(story.before, sim.world())
    assert not again.steps, [step.id for step in again.steps]
    assert {change.action for change in again.changes} <= {Action.KEEP}
    whole(story.before, sim)


def whole(fleet: Fleet, sim: Simulator) -> None:
    """Every desired instance is there once, and runs; nothing else is; volumes are there once."""
    wished = sorted(f"{name}-{n}" for name, each in fleet.services.items() for n in range(each.replicas))
    live = [each for said in sim.hosts.values() for each in said.instances]
    assert sorted(each.name for each in live) == wished
    assert all(is_serving(each) for each in live)
    volumes = [volume.name for said in sim.hosts.values() for volume in said.volumes]
    assert len(volumes) == len(set(volumes))


def applied_is_empty(story: Story) -> None:
    """Apply in any order that the graph allows, then plan: nothing is left to do."""
    sim = applied(story.before, story.seed)
    made = plan(story.after, sim.world(), **LOOSE)
    if not made.can_apply:
        return
    assert sim.run(made, random=story.random)
    again = plan(story.after, sim.world(), **LOOSE)
    held = {change.subject for change in again.changes if change.action is Action.HELD}
    assert not again.steps, [step.id for step in again.steps]
    if not held:
        whole(story.after, sim)


def killed_converges(story: Story) -> None:
    """Killed after any step, in the middle of the next: what follows converges."""
    sim = applied(story.before, story.seed)
    made = plan(story.after, sim.world(), **LOOSE)
    if not made.can_apply or not made.steps:
        return
    random = story.random
    sim.run(made, random=random, stop_after=random.randrange(len(made.steps)), torn=True)
    last = settled(story.after, sim)
    if last.can_apply and not any(change.action is Action.HELD for change in last.changes):
        whole(story.after, sim)


def trouble_converges(story: Story) -> None:
    """Crashes, reboots, dead supervisors, failing steps: an apply mends them, and takes nothing away that runs."""
    sim = applied(story.before, story.seed)
    random = story.random
    for said in list(sim.hosts.values()):
        if random.random() < 0.2:
            sim.reboot(said.host)
        for live in said.instances:
            what = random.randrange(8)
            if what == 0:
                sim.crash(live.key)
            elif what == 1 and is_running(next(i for i in sim.lives(live.name))):
                sim.put(said.host, live.key, state="unsupervised")
            elif what == 2:
                sim.put(said.host, live.key, proven=False)
    made = plan(story.before, sim.world(), **LOOSE)
    assert made.can_apply, made.refusals
    sim.run(made, random=random, fails=lambda step: step.kind is not StepKind.BARRIER and random.random() < 0.1)
    last = settled(story.before, sim)
    assert last.can_apply, last.refusals
    whole(story.before, sim)


def silence_is_not_absence(story: Story) -> None:
    """Silent hosts are never touched; when they are back, nothing is there twice, and the next plan converges."""
    sim = applied(story.before, story.seed)
    random = story.random
    sim.deaf = frozenset(name for name in sim.hosts if random.random() < 0.5)
    before = {name: sim.hosts[name] for name in sim.deaf}
    made = plan(story.after, sim.world(), **LOOSE)
    assert set(made.silent) == set(sim.deaf)
    assert not {step.host for step in made.steps} & set(sim.deaf)
    assert not set(made.hosts) & set(sim.deaf)
    wished = {f"{name}-{n}" for name, each in story.before.services.items() for n in range(each.replicas)}
    behind = {name: sim.behind(name) for name in sim.ingress}
    if made.can_apply:
        sim.run(made, random=random)
    away = {
        live.key
        for name in sim.deaf
        for live in sim.hosts[name].instances
        if (service := story.after.services.get(live.service)) and service.ports and live.ordinal < service.replicas
    }
    for name, keys in behind.items():
        if not story.after.hosts[name].ingress:
            continue
        assert keys & away <= sim.behind(name), "somebody on a silent host was taken out of an ingress"
    assert before == {name: sim.hosts[name] for name in sim.deaf}
    for name in wished:
        assert len({live.host for live in sim.lives(name) if is_running(live)}) <= 1 or not sim.deaf, name
    sim.deaf = frozenset()
    last = settled(story.after, sim)
    if last.can_apply and not any(change.action is Action.HELD for change in last.changes):
        whole(story.after, sim)


def foreign_never_named(story: Story) -> None:
    """What others hold is never listed, changed or destroyed; it counts as taken."""
    sim = applied(story.before, story.seed)
    for name, said in sim.hosts.items():
        claims = tuple(
            Claim(kind="port", owner="other-fleet", holder=FOREIGN, port=port, bind="127.0.0.1")
            for port in range(10_000, 19_000, 3)
        )
        memory = Claim(kind="memory", owner="other-fleet", holder=FOREIGN, amount=builders.GIB)
        held = {int(f["host"]) for live in said.instances for f in live.forwards}
        sim.hosts[name] = replace(said, claims=(*(c for c in claims if c.port not in held), memory))
    made = plan(story.after, sim.world(), **LOOSE)
    rows = replace(made, refusals=(), warnings=(), preconditions={})
    assert FOREIGN not in planfile.dump(rows)
    if made.can_apply:
        assert sim.run(made, random=story.random)


def order_never_matters(story: Story) -> None:
    """The same inputs are the same bytes, in whatever order mappings and rows come."""
    sim = applied(story.before, story.seed)
    random = story.random
    first = planfile.dump(plan(story.after, sim.world(), **LOOSE))
    world = {
        name: replace(said, instances=_shuffled(said.instances, random), volumes=_shuffled(said.volumes, random))
        if isinstance(said, Survey)
        else said
        for name, said in _shuffled(tuple(sim.world().items()), random)
    }
    after = replace(
        story.after,
        services=dict(_shuffled(tuple(story.after.services.items()), random)),
        hosts=dict(_shuffled(tuple(story.after.hosts.items()), random)),
    )
    known = dict(_shuffled(tuple(facts(story.after).items()), random))
    numbers = dict(_shuffled(tuple(endpoints(story.after).items()), random))
    made = build(after, known, numbers, world, revision=builders.REVISION, options=PlanOptions(**LOOSE))
    assert planfile.dump(made) == first


def _shuffled(items: tuple[T, ...], random: Random) -> tuple[T, ...]:
    return tuple(random.sample(items, len(items)))


def graph_is_sound(story: Story) -> None:
    """Ids are unique, every need is a step, nothing goes in a circle, edges are few, and the order is one."""
    sim = applied(story.before, story.seed)
    for made in (plan(story.before, builders.empty(story.before)), plan(story.after, sim.world(), **LOOSE)):
        assert len({step.id for step in made.steps}) == len(made.steps)
        assert sum(len(step.needs) for step in made.steps) <= 6 * len(made.steps)
        seen: set[str] = set()
        for step in made.steps:
            assert set(step.needs) <= seen
            assert len(step.needs) == len(set(step.needs))
            seen.add(step.id)


def old_stays_until_new_is_there(story: Story) -> None:
    """Create-first: an old one leaves no ingress, and is not retired, before its successor is proven and joined."""
    sim = applied(story.before, story.seed)
    made = plan(story.after, sim.world(), **LOOSE)
    before = _before(made)
    for change in made.changes:
        if change.action in (Action.REPLACE, Action.MOVE) and change.order == "create-first":
            assert change.old is not None
            assert change.new is not None
            retire = next(s for s in made.steps if s.kind is StepKind.RETIRE and s.data.key == change.old.key)
            assert f"prove:{change.new.key}" in before[retire.id]
            needed = {s.id for s in made.steps if s.kind is StepKind.JOIN and _has(s.data.services, change.new.key)}
            first = {s.host: s.id for s in reversed(made.steps) if s.id in needed}
            assert set(first.values()) <= before[retire.id]


def _has(services: object, key: str) -> bool:
    return repr(key) in repr(services)


def _before(made: Plan) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for step in made.steps:
        found[step.id] = frozenset(step.needs).union(*(found[need] for need in step.needs))
    return found


def never_more_down_than_allowed(story: Story) -> None:
    """At every moment of a rollout, at least what the service's floor says answers."""
    sim = applied(story.before, story.seed)
    made = plan(story.after, sim.world(), **LOOSE)
    if not made.can_apply:
        return
    _watch_floors(story, made, sim)
    sim.run(made, random=story.random)


def _watch_floors(story: Story, made: Plan, sim: Simulator) -> None:
    floors = {name: _floor(story, made, name) for name in story.before.services if name in story.after.services}

    def watch(sim: Simulator) -> None:
        for name, floor in floors.items():
            for host in [None, *(host for host, rows in sim.ingress.items() if rows.get(name))]:
                names = _answering(sim, name, host)
                assert len(names) >= floor, f"{name} by {host}: {sorted(names)} of {floor}"

    sim.watch = watch


def never_tighter_than_told(story: Story) -> None:
    """At every moment of a rollout, also of a partial one or one that goes back, no less is free than the plan says."""
    sim = applied(story.before, story.seed)
    for name, said in sim.hosts.items():
        claim = Claim(kind="memory", owner="other-fleet", holder=FOREIGN, amount=builders.GIB)
        sim.hosts[name] = replace(said, claims=(*said.claims, claim))
    random = story.random
    partial = {"target": random.choice(sorted(story.after.services))} if random.random() < 0.3 else {}
    made = plan(story.after, sim.world(), **LOOSE, **partial)
    if not made.can_apply:
        return
    moving = {step.host for step in made.steps if step.kind in (StepKind.LAUNCH, StepKind.RETIRE, StepKind.VOLUME)}
    assert made.headroom.keys() == moving
    there = {volume.name for said in sim.hosts.values() for volume in said.volumes}

    def watch(sim: Simulator) -> None:
        for name, told in made.headroom.items():
            said = sim.hosts[name]
            total = said.memory - capacity.host_reserve(story.after.hosts[name], said.memory) - builders.GIB
            held = sum(live.memory + live.overhead for live in said.instances)
            assert told.total_memory == total
            assert total - held >= told.memory, f"{name}: {total - held} free, told {told.memory}"
            assert sum(live.cpus for live in said.instances) <= told.cpus
            grown = sum(volume.size for volume in said.volumes if volume.name not in there)
            assert said.disk_free - grown >= told.disk

    watch(sim)
    sim.watch = watch
    broken = random.choice(made.steps).id if made.steps and random.random() < 0.5 else ""
    sim.run(made, random=random, fails=lambda step: step.id == broken)


def a_failed_wave_goes_back(story: Story) -> None:
    """Whatever fails of a rollout, its service is one and the same afterwards, as planned or as before, or it is named
    who is what; nothing is there twice, and never is more down than the rollout may take down."""
    sim = applied(story.before, story.seed)
    made = plan(story.after, sim.world(), **LOOSE)
    random = story.random
    making = [
        step for step in made.steps if step.kind in (StepKind.LAUNCH, StepKind.PROVE, StepKind.JOIN) and step.service
    ]
    if not made.can_apply or not making:
        return
    _watch_floors(story, made, sim)
    prints = {live.name: live.fingerprint for said in sim.hosts.values() for live in said.instances}
    broken = random.choice(making)
    sim.run(made, random=random, fails=lambda step: step.id == broken.id)
    _stands(made, sim, broken, prints)
    sim.watch = lambda _: None
    last = settled(story.after, sim)
    if last.can_apply and not any(change.action is Action.HELD for change in last.changes):
        whole(story.after, sim)


def _stands(made: Plan, sim: Simulator, broken: Step, prints: dict[str, str]) -> None:
    assert sim.course is not None
    mixtures = {each.service: each for each in sim.course.service_outcomes()}
    wished = {c.subject: c.new.desired.fingerprint for c in made.changes if c.new}
    wished |= {c.subject: c.old.fingerprint for c in made.changes if c.action is Action.KEEP and c.old}
    for mixture in mixtures.values():
        assert all(_runs(sim, name) == wished[name] for name in mixture.new), mixture
        assert all(_runs(sim, name) == prints[name] for name in mixture.old if name in prints), mixture
        assert not any(_runs(sim, name) for name in mixture.down), mixture
    waves = [row for row in made.waves if row.service == broken.service]
    names = {name for row in waves for name in row.instances}
    for name in names:
        assert len({live.key for live in sim.lives(name) if live.proven and is_running(live)}) <= 1, name
    bound = any(row.rollback.irreversible or not row.rollback.reverts_after_later_failure for row in waves)
    kept = any(c.service == broken.service and c.action is Action.KEEP for c in made.changes)
    if broken.service in mixtures and not bound and not kept:
        assert not mixtures[broken.service].is_mixed, mixtures[broken.service]
    fresh = {name: _runs(sim, name) for name in names if name not in prints}
    assert bound or not any(fresh.values()) or not kept, fresh


def _runs(sim: Simulator, name: str) -> str:
    """The fingerprint that a name serves with; empty where it does not."""
    return next((live.fingerprint for live in sim.lives(name) if is_serving(live)), "")


def _answering(sim: Simulator, name: str, ingress: str | None) -> set[str]:
    """The instances of a service that serve, as far as an ingress sends to them (None: whoever asks)."""
    lives = (live for said in sim.hosts.values() for live in said.instances if live.service == name)
    return {live.name for live in lives if is_serving(live) and (ingress is None or live.key in sim.behind(ingress))}


def _floor(story: Story, made: Plan, name: str) -> int:
    old, new = story.before.services[name], story.after.services[name]
    if old.ports != new.ports:
        return 0
    stops = any(c.service == name and c.order == "stop-first" for c in made.changes)
    stops = stops or new.update.order is Order.STOP_FIRST
    down = max(1, new.update.max_parallel.of(new.replicas, round_up=False)) if stops else 0
    return max(0, min(old.replicas, new.replicas) - down)


def lost_is_not_absent(story: Story) -> None:
    """A host marked lost that is back bars every plan while something runs there, and no step is for it; drained
    instead, whatever then runs twice goes, and who was told so has everything once."""
    sim = applied(story.before, story.seed)
    random = story.random
    name = random.choice(sorted(sim.hosts))
    lost = _with_host(story.before, name, lost=True)
    was, sent = sim.hosts[name], sim.ingress.pop(name, {})
    sim.hosts[name], sim.deaf = builders.survey(name), frozenset([name])
    made = plan(lost, sim.world(), **LOOSE)
    if made.can_apply:
        sim.run(made, random=random)
    sim.hosts[name], sim.deaf = was, frozenset()
    if sent:
        sim.ingress[name] = sent
    again = plan(lost, sim.world(), **LOOSE)
    assert not {step.host for step in again.steps} & {name}
    barred = [each for each in again.refusals if each.code == "lost-answers"]
    assert bool(barred) == any(map(is_running, was.instances))
    settled(_with_host(story.before, name, drain=True), sim)
    names = [live.name for said in sim.hosts.values() for live in said.instances if not live.volumes]
    assert len(names) == len(set(names)) or not plan(_with_host(story.before, name), sim.world(), **LOOSE).can_apply


def _with_host(fleet: Fleet, name: str, **given: bool) -> Fleet:
    return replace(fleet, hosts={**fleet.hosts, name: replace(fleet.hosts[name], **given)})


def destroy_takes_no_ingress_from_who_is_held(story: Story) -> None:
    """Of a fleet that goes, with silent hosts or without: no ingress ends while somebody is behind it (the simulator
    holds that), rows say which end, and once everybody answers nothing is left."""
    sim = applied(story.before, story.seed)
    random = story.random
    sim.deaf = frozenset(name for name in sim.hosts if random.random() < 0.5)
    for _ in range(2):
        made = plan(story.before, sim.world(), destroy=True, **LOOSE)
        listened = set(sim.ingress)
        assert made.can_apply
        assert sim.run(made, random=random)
        said = {change.host for change in made.changes if change.subject == "ingress"}
        assert listened - set(sim.ingress) <= said
        assert not said & set(sim.ingress)
        sim.deaf = frozenset()
    assert not sim.ingress
    assert not [live for said in sim.hosts.values() for live in said.instances]


def of_a_host_that_falls_silent_nothing_is_claimed(story: Story) -> None:
    """A host that stops answering in the middle of an apply: who is there is called unknown, whoever is called
    anything else is that, no step of a way back is for that host, and once it answers the fleet converges."""
    sim = applied(story.before, story.seed)
    made = plan(story.after, sim.world(), **LOOSE)
    random = story.random
    steps = [step for step in made.steps if step.kind is not StepKind.BARRIER and step.service]
    if not made.can_apply or not steps:
        return
    prints = {live.name: live.fingerprint for said in sim.hosts.values() for live in said.instances}
    sim.run(made, random=random, mute=random.choice(steps).id)
    assert sim.course is not None
    ended = sim.course
    assert not [each.id for each in ended.steps.values() if each.undo and each.host in sim.deaf]
    wished = {c.subject: c.new.desired.fingerprint for c in made.changes if c.new}
    wished |= {c.subject: c.old.fingerprint for c in made.changes if c.action is Action.KEEP and c.old}
    for mixture in ended.service_outcomes():
        assert set(mixture.unseen) <= sim.deaf
        for names, kinds in ((mixture.new, wished), (mixture.old, prints), (mixture.down, {})):
            for name in names:
                # Old and new may be there together: nobody takes one down whom an unseen ingress may send to.
                seen = {live.fingerprint for live in sim.lives(name) if is_serving(live) and live.host not in sim.deaf}
                assert kinds[name] in seen if name in kinds else not seen, (name, mixture)
    sim.deaf = frozenset()
    last = settled(story.after, sim)
    if last.can_apply and not any(change.action is Action.HELD for change in last.changes):
        whole(story.after, sim)
