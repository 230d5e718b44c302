"""A life of a fleet: edits, applies that fail or are interrupted, crashes, reboots, hosts that are silent, die, return.

Whatever happens in whatever order: nothing is there twice, silent hosts are never touched, what others hold is never
named, and once everybody answers, a few applies make it what the file says.
"""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.plan import builders
from tests.plan.builders import fleet, host, plan, service
from tests.plan.laws import FOREIGN, whole
from tests.plan.simulator import Simulator, simulate
from tests.plan.worlds import LOOSE, settled
from unictl.fleet.model import Fleet, Port, Update, Volume
from unictl.fleet.quantities import Share
from unictl.instances.observed.host_state import Claim
from unictl.instances.placement import constraints
from unictl.plan.context import context
from unictl.plan.file import planfile
from unictl.plan.model.change import Action
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import StepKind
from unictl.plan.reconcile import decide, reconcile
from unictl.plan.reconcile.classify import is_running

HOSTS = 3
NAMES = st.sampled_from([f"hv{n}" for n in range(1, HOSTS + 1)])
NAMES_OF_SERVICES = ("alpha", "beta", "gamma", "delta")
SEEDS = st.integers(0, 1 << 20)


class Life(RuleBasedStateMachine):
    """``file`` is the fleet as its file says, ``sim`` the hosts as they are."""

    file: Fleet
    sim: Simulator
    quiet: dict[str, object]

    @initialize(seed=SEEDS)
    def born(self, seed: int) -> None:
        self.file = _written(Random(seed))
        self.sim = simulate(builders.empty(self.file))
        claim = Claim(kind="port", owner="other-fleet", holder=FOREIGN, port=10_007, bind="127.0.0.1")
        self.sim.hosts = {name: replace(said, claims=(claim,)) for name, said in self.sim.hosts.items()}
        self.quiet = {}

    @rule(seed=SEEDS)
    def edit(self, seed: int) -> None:
        """Some services are others now, and some are gone; hosts stay as they are marked."""
        random = Random(seed)
        other = _written(random)
        kept = {name: each for name, each in self.file.services.items() if random.random() < 0.7}
        services = {**other.services, **kept}
        needed = {name: replace(s, needs=tuple(n for n in s.needs if n in services)) for name, s in services.items()}
        self.file = replace(other, services=needed, volumes=_volumes(), hosts=self.file.hosts)

    @rule(data=st.data(), replicas=st.integers(0, 4))
    def scale(self, data: st.DataObject, replicas: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.file.services)))
        if not self.file.services[name].volumes:
            self.file = builders.change(self.file, name, replicas=replicas)

    @rule(seed=SEEDS, fails=st.sampled_from([0.0, 0.0, 0.15]), stop=st.sampled_from([None, None, 3, 9, 27]))
    def apply(self, seed: int, fails: float, stop: int | None) -> None:
        """An apply, in any order; steps fail, and somebody may end it in the middle of one."""
        random = Random(seed)
        made = plan(self.file, self.sim.world(), **LOOSE)
        self.look(made)
        if made.can_apply:
            bad = (
                (lambda step: step.kind is not StepKind.BARRIER and random.random() < fails)
                if fails
                else lambda _: False
            )
            self.sim.run(made, random=random, fails=bad, stop_after=stop, torn=stop is not None)

    @rule(seed=SEEDS)
    def apply_well(self, seed: int) -> None:
        """Nothing goes wrong: most applies are like that."""
        self.apply(seed, 0.0, None)

    @rule(seed=SEEDS)
    def edit_and_apply(self, seed: int) -> None:
        self.edit(seed)
        self.apply(seed, 0.0, None)

    @rule(seed=SEEDS)
    def crash(self, seed: int) -> None:
        lives = [(host, live) for host, said in self.sim.hosts.items() for live in said.instances if is_running(live)]
        if lives:
            host, live = Random(seed).choice(lives)
            if host not in self.sim.deaf:
                self.sim.crash(live.key)

    @rule(host=NAMES)
    def reboot(self, host: str) -> None:
        if host not in self.sim.deaf:
            self.sim.reboot(host)

    @rule(host=NAMES)
    def fall_silent(self, host: str) -> None:
        self.sim.deaf |= {host}
        self.quiet.setdefault(host, self.sim.hosts[host])

    @rule(host=NAMES)
    def answer_again(self, host: str) -> None:
        if not self.file.hosts[host].lost:
            self.sim.deaf -= {host}
            self.quiet.pop(host, None)

    @precondition(lambda self: not any(host.lost for host in self.file.hosts.values()))
    @rule(host=NAMES)
    def die(self, host: str) -> None:
        """The machine and all that was on it is gone; the file says so."""
        dead = self.sim.hosts[host]
        self.sim.hosts[host] = builders.survey(host, host_id=f"{dead.host_id}0", claims=dead.claims)
        self.sim.ingress.pop(host, None)
        self.sim.deaf |= {host}
        self.quiet[host] = self.sim.hosts[host]
        self.mark(host, lost=True)

    @precondition(lambda self: any(host.lost for host in self.file.hosts.values()))
    @rule()
    def replace_the_dead(self) -> None:
        """An empty machine stands in its place, once an apply has done without it that everybody else has heard of."""
        before = self.file, self.sim.deaf, dict(self.quiet)
        dead = {name for name, each in self.file.hosts.items() if each.lost}
        self.apply(0, 0.0, None)
        for name in dead if dead == self.sim.deaf else ():
            self.mark(name, lost=False)
            self.sim.deaf -= {name}
            self.quiet.pop(name, None)
        if any(each.code == "host-changed" for each in plan(self.file, self.sim.world(), **LOOSE).refusals):
            self.file, self.sim.deaf, self.quiet = before

    @rule(host=NAMES, drain=st.booleans())
    def drain(self, host: str, drain: bool) -> None:
        self.mark(host, drain=drain)

    def mark(self, name: str, **given: bool) -> None:
        self.file = replace(self.file, hosts={**self.file.hosts, name: replace(self.file.hosts[name], **given)})

    def look(self, made: Plan) -> None:
        """What no plan may ever say."""
        assert not {step.host for step in made.steps} & self.sim.deaf
        assert FOREIGN not in planfile.dump(replace(made, refusals=(), warnings=(), preconditions={}))

    @invariant()
    def silent_hosts_are_as_they_were(self) -> None:
        for name, said in getattr(self, "quiet", {}).items():
            assert self.sim.hosts[name] == said

    @invariant()
    def nothing_is_there_twice(self) -> None:
        sim: Simulator | None = getattr(self, "sim", None)
        for said in sim.hosts.values() if sim else ():
            assert all(claim.holder == FOREIGN for claim in said.claims)
        volumes = [volume.name for said in sim.hosts.values() for volume in said.volumes] if sim else []
        assert len(volumes) == len(set(volumes))
        keys = [live.key for said in sim.hosts.values() for live in said.instances] if sim else []
        assert len(keys) == len(set(keys))

    def teardown(self) -> None:
        """In the end everybody answers, nobody is leaving, what was lost may begin empty: the hosts become the file."""
        if not hasattr(self, "sim"):
            return
        self.sim.deaf = frozenset(name for name, each in self.file.hosts.items() if each.lost)
        for name in self.file.hosts:
            self.mark(name, drain=False)
        volumes = {name: replace(each, accept_loss=True) for name, each in self.file.volumes.items()}
        self.file = replace(self.file, volumes=volumes)
        self._becomes()
        if self.sim.deaf:
            self.replace_the_dead()
            self._becomes()
        assert not self.sim.deaf
        whole(self.file, self.sim)

    def _becomes(self) -> None:
        last = settled(self.file, self.sim, most=6)
        assert last.can_apply, last.refusals
        assert not [(change.subject, change.reason) for change in last.changes if change.action is not Action.KEEP]


def _written(random: Random) -> Fleet:
    """Any small fleet. Of a seed, not of many draws: a life is long enough as it is."""
    services = []
    for name in random.sample(NAMES_OF_SERVICES, random.randint(1, 3)):
        holds = random.random() < 0.3
        services.append(
            service(
                name,
                f"--v={random.randint(1, 2)}",
                replicas=random.randint(1, 2) if holds else random.randint(0, 4),
                needs=tuple(each.name for each in services if random.random() < 0.3),
                volumes={"data": f"data-of-{name}"} if holds else {},
                ports=() if random.random() < 0.2 else (Port(name="http", number=8080),),
                health=(),
                update=Update(
                    max_parallel=Share(number=random.randint(1, 3)), canary=Share(number=random.randint(0, 1))
                ),
            )
        )
    machines = [host(f"hv{n}", ingress=n < 3) for n in range(1, HOSTS + 1)]
    return replace(fleet(*services, hosts=machines), volumes=_volumes())


def _volumes() -> dict[str, Volume]:
    return {f"data-of-{n}": Volume(name=f"data-of-{n}", size=builders.GIB) for n in NAMES_OF_SERVICES}


def _settings(examples: int, *phases: Phase) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=24,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=phases or (Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
    )


def test_whatever_happens_to_a_fleet_it_becomes_what_its_file_says() -> None:
    run_state_machine_as_test(Life, settings=_settings(60))  # type: ignore[no-untyped-call]


MISTAKES = {
    "silence taken for absence": [
        (reconcile, "_blocked_by_unreachable_host", lambda *_: None),
        (constraints, "all_hosts_answered", lambda *_: True),
        (reconcile, "_hold_if_ingress_unknown", lambda _, found: found),
    ],
    "surplus forgotten": [(reconcile, "_surplus_changes", lambda *_: ())],
    "a launch number used again": [(decide, "next_launch_number", lambda *_: 1)],
    "what was retired forgotten": [(context, "_highest_retired_launches", lambda _: {})],
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_life_shows_a_planner_with_a_mistake(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, wrong in MISTAKES[mistake]:
        monkeypatch.setattr(module, name, wrong)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Life, settings=_settings(150, Phase.generate))  # type: ignore[no-untyped-call]
