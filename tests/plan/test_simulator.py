"""What the laws walk on is no world of its own: the simulator and the real host side say the same of the same steps.

Any sequence of steps that a plan may hold, done by the simulator and by the real handlers over a temporary root, with a
supervisor and processes of its own (a sleep is enough of a guest: what drives it is not compared): after each of
them both refuse the same for the same reason, or show the same survey.
"""

import hashlib
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.onhost.world import OWNER, SLEEP, World, document, short_folder
from tests.plan import builders, simulator
from tests.plan.simulator import Broken, Refused, Simulator
from unictl.instances.observed.host_state import LiveInstance, Survey, decode_survey
from unictl.onhost.errors import HostError
from unictl.onhost.instances import claims, conflicts, instance_state
from unictl.plan.ingress import members
from unictl.plan.ingress.members import Member, ServiceMembers
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step, StepKind

SEEDS = 6
STEPS = 24
HOST = "hv1"
OTHER = "mail-1a2b3c"
IMAGES = tuple(f"image {n}".encode() for n in range(2))
VOLUMES = ("data", "more")
NAMES = ("api-0", "api-1", "db-0")
MARK = SimpleNamespace(owner=OWNER)


class Pair:
    """One host, twice: as it is, and as the simulator has it."""

    def __init__(self, world: World, random: Random, ports: list[int]):
        self.world, self.random, self.ports = world, random, ports
        self.launches = dict.fromkeys(NAMES, 0)
        self.sim = simulator.simulate({HOST: self.seen()})
        self.composed: dict[str, dict[str, Any]] = {}
        self.done: list[str] = []

    def seen(self) -> Survey:
        return decode_survey(HOST, self.world.survey(**dict.fromkeys(NAMES, "1:none")))

    @property
    def there(self) -> tuple[LiveInstance, ...]:
        return self.sim.hosts[HOST].instances

    def step(self, step: Step) -> None:
        """Both do it, or both refuse it; what no plan may ask for is not asked of the host."""
        composed = {host: dict(rows) for host, rows in self.composed.items()}
        try:
            self.sim.step(cast(Plan, MARK), step, composed)
            said = ""
        except Refused as refused:
            said = refused.kind
        except Broken:
            return
        self.done.append(step.id)
        assert self.told(step, composed.get(HOST, {})) == said, self.done
        self.composed = composed
        self.compare()

    def told(self, step: Step, composed: dict[str, Any]) -> str:
        """What kind of problem the real host side has with a step; empty where it has none."""
        try:
            return self.act(step, composed)
        except HostError as problem:
            return problem.kind

    def act(self, step: Step, composed: dict[str, Any]) -> str:
        data, do = step.data, self.world.do
        match step.kind:
            case StepKind.STAGE:
                self.world.stage(next(i for i in IMAGES if _digest(i) == data.digest))
            case StepKind.VOLUME:
                do("volume", action="create", name=data.volume, size=data.size)
            case StepKind.DELETE:
                do("volume", action="delete", name=data.volume, size=0)
            case StepKind.LAUNCH:
                outcome = self.world.launch(data.document)[0]
                return "" if outcome["ok"] else str(outcome["problem"]["kind"])
            case StepKind.PROVE:
                assert do("await-healthy", key=data.key, probes=[], min_healthy_time=0, healthy_deadline=10_000)[
                    "healthy"
                ]
                do("set-marks", key=data.key, proven=True, checks=[probe["kind"] for probe in data.probes])
            case StepKind.JOIN | StepKind.LEAVE:
                text, hash_ = members.render_config(OWNER, composed), members.config_digest(OWNER, composed)
                do("apply-ingress", text=text, hash=hash_, wait=0)
            case StepKind.RETIRE:
                assert self.world.retire(data.key, grace=0)
            case StepKind.MARK:
                do("set-marks", key=data.key, **data.marks())
            case StepKind.REMEMBER:
                do("record-applied", policy=data.policy, hosts=list(data.hosts))
            case StepKind.CLOSE:
                do("apply-ingress", text="", hash="", wait=0)
                do("collect-garbage", end=True, keep_retired=5)
                self.world.release()
                self.world.acquire()
            case _:
                raise AssertionError(step.kind)
        return ""

    def compare(self) -> None:
        assert _plain(self.seen()) == _plain(self.sim.hosts[HOST]), self.done

    def crash(self) -> None:
        """A guest is killed."""
        running = [live for live in self.there if live.state == "running"]
        if running:
            live = self.random.choice(running)
            self.done.append(f"crash:{live.key}")
            os.kill(self.world.pid(live.key), signal.SIGKILL)
            if (live.launched or {})["restart"] == "never":
                self.world.until(live.key, "ended")
            else:
                self.world.until(live.key, "running", starts=live.starts + 1)
            self.sim.kill(live.key)
            self.compare()

    def next_apply(self) -> None:
        """The supervisor dies between two applies; whoever takes the lease finds its instances and looks after them."""
        if not instance_state.supervisor_alive(self.world.root, OWNER) or not any(
            i.state == "running" for i in self.there
        ):
            return
        self.done.append("supervisor")
        self.world.kill_supervisor()
        for live in self.there:
            if live.state == "running":
                self.sim.put(HOST, live.key, state="unsupervised")
        self.compare()
        self.world.release()
        self.world.acquire()
        for live in self.there:
            self.sim.put(HOST, live.key, **({"state": "running"} if live.state == "unsupervised" else {}))
        self.compare()


def _plain(said: Survey) -> dict[str, Any]:
    """What a plan rests on, without what only time and the machine say."""
    own = [claim for claim in said.claims if claim.owner]
    rows = sorted((replace(i, since=0.0, starts=0, end=None, health="", host=HOST) for i in said.instances), key=_key)
    return {
        "instances": rows,
        "volumes": sorted(said.volumes, key=lambda volume: volume.name),
        "images": said.images,
        "damaged": said.damaged,
        "retired": said.retired,
        "claims": own,
        "policy": said.policy,
        "hosts": said.hosts,
        "ingress": {name: said.ingress.get(name) for name in ("state", "hash")},
    }


def _key(live: LiveInstance) -> str:
    return live.key


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _step(kind: StepKind, name: str, **data: Any) -> Step:
    data_type = kind.traits.data_type
    return Step(id=f"{kind.value}:{name}", kind=kind, host=HOST, data=data_type(**data) if data_type else None)


def _launch(pair: Pair) -> Step:
    """A new one, or one that is there again; it may lack an image or a volume, and ask for what another holds."""
    random = pair.random
    name = random.choice(NAMES)
    pair.launches[name] += 1
    number = pair.launches[name]
    port = random.choice(pair.ports[:-1])
    made = document(
        name,
        SLEEP,
        generation=f"{number:08x}",
        launch=number,
        images=random.sample([_digest(i) for i in IMAGES], random.randint(0, 1)),
        volumes=random.sample(VOLUMES, random.choice([0, 0, 1])),
        forwards=[{"name": "http", "host": port, "guest": 80, "bind": "127.0.0.1"}] if random.random() < 0.7 else [],
        memory=random.choice([0, 0, pair.sim.hosts[HOST].memory // 2]),
        restart=random.choice(["never", "never", "on-crash"]),
        overhead=1 << 20,
    )
    return _step(StepKind.LAUNCH, name, document=made, secrets=())


def _again(pair: Pair) -> Step | None:
    """What was recorded is started again."""
    ended = [live for live in pair.there if live.launched and live.state == "running"]
    if not ended:
        return None
    live = pair.random.choice(ended)
    launched = live.launched or {}
    made = document(live.name, generation=live.generation, launch=live.launch, fingerprint=live.fingerprint)
    return _step(StepKind.LAUNCH, live.key, document={**made, "run": launched["run"]}, secrets=())


def _of(kind: StepKind, running: bool = False, **data: Any) -> Callable[[Pair], Step | None]:
    def make(pair: Pair) -> Step | None:
        lives = [live for live in pair.there if live.state == "running" or not running]
        key = pair.random.choice(lives).key if lives else "api-9.0badcafe"
        return None if running and not lives else _step(kind, key, key=key, **data)

    return make


def _join(pair: Pair) -> Step:
    """The ingress sends to those that run and were proven, on a port of its own."""
    service = builders.service("api", health=())
    roster = ServiceMembers("api", service, {"api.http": pair.ports[-1]})
    for live in pair.there:
        if live.proven and live.forwards and live.service == "api":
            roster.join(HOST, Member(key=live.key, ports={"http": ("127.0.0.1", int(live.forwards[0]["host"]))}))
    return _step(StepKind.JOIN, "api", services={"api": roster.listeners()})


def _leave(_: Pair) -> Step:
    return _step(StepKind.LEAVE, "api", services={"api": ()}, drain=0)


def _remember(pair: Pair) -> Step:
    hosts = tuple(f"{HOST} {n} ingress" for n in range(pair.random.randint(1, 2)))
    return _step(StepKind.REMEMBER, HOST, policy={"max_destroy": f"{pair.random.randint(1, 9)}%"}, hosts=hosts)


OTHERS = (
    lambda pair: _step(StepKind.STAGE, "image", digest=_digest(pair.random.choice(IMAGES)), size=7),
    lambda pair: _step(StepKind.VOLUME, "volume", volume=pair.random.choice(VOLUMES), size=4096),
    lambda pair: _step(StepKind.DELETE, "volume", volume=pair.random.choice(VOLUMES)),
    _again,
    _of(StepKind.PROVE, running=True, probes=(), min_healthy_time=0, healthy_deadline=10_000),
    _of(StepKind.MARK, protect=False, checks=("http", "console")),
    _of(StepKind.RETIRE, grace=0, keep=5),
    _of(StepKind.MARK, protect=True),
    _of(StepKind.MARK, protect=False),
    _join,
    _leave,
    _remember,
    lambda _: _step(StepKind.CLOSE, HOST),
)


def _walked(pair: Pair) -> None:
    for _ in range(STEPS):
        what = pair.random.random()
        if what < 0.06:
            pair.crash()
        elif what < 0.1:
            pair.next_apply()
        else:
            made = _launch(pair) if what < 0.45 else pair.random.choice(OTHERS)(pair)
            if made is not None:
                pair.step(made)
    for live in pair.there:
        pair.step(_step(StepKind.LEAVE, "api", services={"api": ()}, drain=0))
        pair.step(_step(StepKind.RETIRE, live.key, key=live.key, grace=0, keep=5))
    pair.step(_step(StepKind.CLOSE, HOST))


def _agree(seed: int) -> None:
    world = World(short_folder())
    try:
        world.acquire(owner=OTHER, mark="mail", id="1a2b3c")
        port = _ports(1)[0]
        taken = document("smtp-0", forwards=[{"name": "smtp", "host": port, "guest": 25, "bind": "127.0.0.1"}])
        world.do("launch", owner=OTHER, instances=[taken], secrets={})
        world.do("release", owner=OTHER)
        world.acquire()
        _walked(Pair(world, Random(seed), [port, *_ports(3)]))
        assert not world.fault()
    finally:
        world.close()


def _ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_simulator_and_a_host_say_the_same_of_any_steps(seed: int) -> None:
    _agree(seed)


def _forgets_a_launch_number(self: Simulator, host: str, key: str) -> None:
    said = self.hosts[host]
    self._set(host, instances=tuple(each for each in said.instances if each.key != key))


MISTAKES: dict[str, tuple[Any, str, Any]] = {
    "a simulator that forgets what was retired": (Simulator, "_retire", _forgets_a_launch_number),
    "a simulator that does not look at what others hold": (Simulator, "_claims", lambda *_: None),
    "a host that does not tell what others hold": (claims, "foreign_claims", lambda *_: []),
    "a host that takes a port twice": (conflicts, "_forwards_clash", lambda *_: False),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_whichever_is_wrong_is_found_out(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*MISTAKES[mistake])
    with pytest.raises(AssertionError):
        for seed in range(SEEDS):
            _agree(seed)
