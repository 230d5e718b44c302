"""The laws of what is edited: more room, another host, there and back, and a question asked instead of an edit."""

from dataclasses import replace
from random import Random

from tests.plan import builders
from tests.plan.builders import endpoints, facts, plan
from tests.plan.laws import whole
from tests.plan.simulator import Simulator
from tests.plan.worlds import LOOSE, Story, applied
from unictl.fleet.model import MIB, Fleet
from unictl.instances.observed.host_state import Survey, UnreachableHost
from unictl.plan.model.change import Action, Change
from unictl.plan.model.plan import Plan
from unictl.plan.whatif.whatif import Prediction, Scenario, apply_scenario, predict

World = dict[str, Survey | UnreachableHost]


def a_new_host_moves_nobody(story: Story) -> None:
    """Another host in the file is an adjust of what hosts remember, and of the ingress; nobody who runs is touched.

    From one host to two is something else: what listens on loopback can be reached from there alone.
    """
    if len(story.before.hosts) < 2:
        return
    sim = applied(story.before, story.seed)
    wider = replace(story.before, hosts={**story.before.hosts, "hv9": builders.host("hv9")})
    made = plan(wider, {**sim.world(), "hv9": builders.survey("hv9")}, **LOOSE)
    moved = [(each.action, each.subject) for each in made.changes if each.action not in (Action.KEEP, Action.ADJUST)]
    assert not moved and made.can_apply


def there_and_back_is_where_it_was(story: Story) -> None:
    """An edit and the edit taken back, each applied: what is wished is there again, as it was launched at first."""
    sim = applied(story.before, story.seed)
    then = _prints(sim)
    for wished in (story.after, story.before):
        made = plan(wished, sim.world(), **LOOSE)
        if not made.can_apply or any(each.action is Action.HELD for each in made.changes):
            return
        assert sim.run(made, random=story.random)
    if not any(each.action is Action.HELD for each in plan(story.before, sim.world(), **LOOSE).changes):
        whole(story.before, sim)
        assert _prints(sim) == then


def _prints(sim: Simulator) -> dict[str, str]:
    return {live.name: live.fingerprint for said in sim.hosts.values() for live in said.instances}


def more_room_refuses_nobody(story: Story) -> None:
    """Who finds a place on hosts that are nearly full finds one where each of them has more memory."""
    random = story.random
    narrow = {name: random.randrange(3, 9) * 128 * MIB for name in story.before.hosts}
    if _placed(story.before, narrow):
        wide = {name: size + random.randrange(0, 3) * 128 * MIB for name, size in narrow.items()}
        assert _placed(story.before, wide), (narrow, wide)


def _placed(fleet: Fleet, memory: dict[str, int]) -> bool:
    world: World = {
        name: builders.survey(name, memory=size + builders.GIB, memory_free=size) for name, size in memory.items()
    }
    return plan(fleet, world, **LOOSE).can_apply


def a_question_is_answered_as_an_edit_is_planned(story: Story) -> None:
    """What would be created, destroyed and moved is what a plan of the file with that edit creates, destroys, moves."""
    sim = applied(story.before, story.seed)
    question = _question(story.before, story.random)
    answer = predict(story.before, facts(story.before), endpoints(story.before), sim.world(), question)
    edited = apply_scenario(story.before, question)
    world = {
        name: UnreachableHost(host=name, reason="it is lost") if name in question.lost_hosts else said
        for name, said in sim.world().items()
    }
    made = plan(edited, world, **LOOSE)
    assert _answered(answer) == _planned(made, sim)


def _question(fleet: Fleet, random: Random) -> Scenario:
    """Something lost, something gone that nobody needs, something scaled; each now and then."""
    needed = {need for each in fleet.services.values() for need in each.needs}
    free = sorted(set(fleet.services) - needed)
    gone = tuple(random.sample(free, random.randrange(2))) if len(free) > 1 else ()
    scaled = [name for name in sorted(fleet.services) if name not in gone and random.random() < 0.5]
    lost = tuple(sorted(fleet.hosts)[:1]) if len(fleet.hosts) > 1 and random.random() < 0.3 else ()
    return Scenario(lost_hosts=lost, removed_services=gone, replicas={name: random.randrange(5) for name in scaled})


def _answered(answer: Prediction) -> tuple[set[str], set[str], set[tuple[str, str]]]:
    moves = {(move.instance, move.to_host) for move in answer.moves}
    return set(answer.created), set(answer.destroyed), moves


def _planned(made: Plan, sim: Simulator) -> tuple[set[str], set[str], set[tuple[str, str]]]:
    there = {live.name: live.host for said in sim.hosts.values() for live in said.instances}
    rows = [each for each in made.changes if each.service and ":" not in each.subject]
    launched = [each for each in rows if each.action in (Action.CREATE, Action.MOVE)]
    created = {each.subject for each in launched if each.subject not in there}
    moved = {(each.subject, each.to_host) for each in launched if _elsewhere(each, there)}
    return created, {each.subject for each in rows if each.action is Action.DESTROY}, moved


def _elsewhere(change: Change, there: dict[str, str]) -> bool:
    return there.get(change.subject, change.to_host) != change.to_host
