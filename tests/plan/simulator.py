"""A world that plans are carried out in, without hosts: each step does to it what the real one does to a host.

It keeps the books that no plan may see: who is behind which ingress, what is true of hosts that are silent. What must
never happen is an assertion here, so that every law that walks a plan holds it to all of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from unictl.instances.observed.host_state import LiveInstance, LiveVolume, Survey, UnreachableHost
from unictl.plan.ingress import members
from unictl.plan.model.payloads import SwapData
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import Step, StepKind
from unictl.plan.progress.tracker import RolloutTracker
from unictl.plan.reconcile.classify import is_running, is_serving

World = Mapping[str, Survey | UnreachableHost]


class Broken(AssertionError):
    """A plan did what must never happen."""


class Refused(Broken):
    """It asked a host for what the host refuses; ``kind`` is the kind of problem the host has with it."""

    def __init__(self, kind: str, text: str):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


@dataclass
class Simulator:
    """All hosts as they are.

    ``haproxy_config`` is host -> service -> listeners in force. ``deaf`` hosts take no step.
    """

    hosts: dict[str, Survey]
    ingress: dict[str, dict[str, Any]] = field(default_factory=dict)
    deaf: frozenset[str] = frozenset()
    done: list[str] = field(default_factory=list)
    watch: Callable[["Simulator"], None] = lambda _: None
    course: RolloutTracker | None = None

    def world(self) -> dict[str, Survey | UnreachableHost]:
        """What a survey of all hosts says."""
        return {
            n: UnreachableHost(host=n, reason="timed out") if n in self.deaf else said for n, said in self.hosts.items()
        }

    def run(
        self,
        plan: Plan,
        *,
        random: Random | None = None,
        stop_after: int | None = None,
        fails: Callable[[Step], bool] = lambda _: False,
        torn: bool = False,
        mute: str = "",
    ) -> bool:
        """Walk the plan in any order its graph allows; whether all of it was done. ``torn``: the last step, half.
        ``mute``: from this step on its host answers nobody."""
        random = random or Random(0)
        composed = {host: dict(rows) for host, rows in plan.membership.items()}
        course = self.course = RolloutTracker(plan)
        while True:
            course.rollbacks_due()
            ready = course.ready()
            if not ready or (stop_after is not None and len(course.succeeded) >= stop_after and not torn):
                break
            step = random.choice(ready)
            if stop_after is not None and len(course.succeeded) >= stop_after:
                self._half(step)
                break
            course.start(step.id)
            if step.id == mute or (mute and step.host in self.deaf):
                self.deaf |= {step.host}
                course.fail(step.id, unreachable=True)
                continue
            if fails(step):
                course.fail(step.id)
                continue
            self.step(plan, step, composed)
            course.succeed(step.id)
            self.done.append(step.id)
            self.watch(self)
        return all(step.id in course.succeeded for step in plan.steps)

    def step(self, plan: Plan, step: Step, composed: dict[str, dict[str, Any]]) -> None:
        """One step, whole."""
        if step.kind is StepKind.BARRIER:
            return
        if step.host in self.deaf:
            raise Broken(f"{step.id} is for a host that does not answer")
        match step.kind:
            case StepKind.STAGE:
                said, brought = self.hosts[step.host], {step.data.digest}
                self._set(step.host, images=said.images | brought, damaged=said.damaged - brought)
            case StepKind.VOLUME:
                self._volume(step)
            case StepKind.LAUNCH:
                self._launch(step.host, step.data.document)
            case StepKind.PROVE:
                checks = tuple(probe["kind"] for probe in step.data.probes)
                self._instance(step.host, step.data.key, proven=True, checks=checks)
            case StepKind.JOIN | StepKind.LEAVE:
                here = composed.setdefault(step.host, {})
                if isinstance(step.data, SwapData):
                    for name, swap in step.data.swaps.items():
                        here[name] = members.with_swap(here.get(name, ()), swap)
                else:
                    here.update(step.data.services)
                self._ingress(plan, step.host, composed[step.host])
            case StepKind.RETIRE if step.undo and not any(
                i.key == step.data.key for i in self.hosts[step.host].instances
            ):
                pass
            case StepKind.RETIRE:
                self._retire(step.host, step.data.key)
            case StepKind.MARK:
                noted = {} if step.data.checks is None else {"checks": step.data.checks}
                self._instance(step.host, step.data.key, protect=step.data.protect, **noted)
                self._revive(step.host)
            case StepKind.DELETE:
                self._delete(step)
            case StepKind.REMEMBER:
                self._set(step.host, policy=step.data.policy, hosts=step.data.hosts)
            case StepKind.CLOSE:
                self._close(step.host)

    def lives(self, name: str) -> list[LiveInstance]:
        return [live for said in self.hosts.values() for live in said.instances if live.name == name]

    def behind(self, host: str) -> set[str]:
        """The keys that an ingress sends to."""
        return members.server_names(self.ingress.get(host, {}))

    def sends(self, host: str, live: LiveInstance) -> bool:
        """Whether an ingress sends to this one; one of the same key may run on another host."""
        listeners = members.all_listeners(self.ingress.get(host, {}))
        servers = [server for listener in listeners for server in listener.servers if server.name == live.key]
        binds = {(f.get("bind") or server.address, int(f["host"])) for f in live.forwards for server in servers}
        return any((server.address, server.port) in binds for server in servers)

    def answering(self, service: str) -> int:
        """How many instances of a service serve, and are behind every ingress there is."""
        return sum(
            is_serving(live) and all(live.key in self.behind(host) for host in self.ingress)
            for said in self.hosts.values()
            for live in said.instances
            if live.service == service
        )

    def crash(self, key: str, verdict: str = "crash", **end: Any) -> None:
        """An instance ends and is not started again."""
        for host in self.hosts:
            if any(live.key == key for live in self.hosts[host].instances):
                facts = {"verdict": verdict, "code": 3, "restarting": False, **end}
                self._instance(host, key, state="ended", end=facts)

    def kill(self, key: str) -> None:
        """Somebody kills an instance: it is started again, unless it is never to be."""
        live = next(live for said in self.hosts.values() for live in said.instances if live.key == key)
        if (live.launched or {}).get("restart") == "never":
            self.crash(key, "killed")

    def put(self, host: str, key: str, **given: Any) -> None:
        """Change what is true of an instance, as nobody but a test may."""
        self._instance(host, key, **given)

    def reboot(self, host: str) -> None:
        """A host without systemd comes back with nothing running."""
        for live in self.hosts[host].instances:
            if is_running(live):
                self._instance(host, live.key, state="lost")
        self._set(host, boot_id=self.hosts[host].boot_id + "'")
        state = self.hosts[host].ingress["state"]
        self._set(host, ingress={"state": "dead" if state == "running" else state, "hash": ""})
        self.ingress.pop(host, None)

    def _half(self, step: Step) -> None:
        """What a killed step leaves (the crash table)."""
        if step.kind is StepKind.LAUNCH and not self._has(step.host, step.data.document):
            self._record(step.host, step.data.document, "begun")
        if step.kind is StepKind.RETIRE and any(i.key == step.data.key for i in self.hosts[step.host].instances):
            self._instance(step.host, step.data.key, state="leaving")

    def _launch(self, host: str, document: Mapping[str, Any]) -> None:
        key = _key(document)
        if self._has(host, document):
            old = next(live for live in self.hosts[host].instances if live.key == key)
            if not _same_ports(old, document):
                raise Broken(f"{key} is started again with other ports than its record has")
            self._instance(host, key, state="running" if old.state != "unsupervised" else old.state)
            return
        if any(live.key == key for said in self.hosts.values() for live in said.instances):
            raise Broken(f"{key} is there twice")
        self._record(host, document, "running")

    def _record(self, host: str, document: Mapping[str, Any], state: str) -> None:
        said, run = self.hosts[host], document["run"]
        self._claims(said, document)
        live = LiveInstance(
            host=host,
            name=document["name"],
            generation=document["generation"],
            service=document["service"],
            ordinal=document["ordinal"],
            launch=document["launch"],
            fingerprint=document["fingerprint"],
            state=state,
            commit=document["commit"],
            protect=document["protect"],
            memory=run["memory"],
            overhead=run["overhead"],
            cpus=run["cpus"],
            forwards=tuple(run["forwards"]),
            volumes=tuple(run["volumes"]),
            images=tuple(run["images"]),
            spec=document["spec"],
            resolved=document["resolved"],
            launched={"restart": document["restart"], "run": run},
            starts=1,
            proven=False,
        )
        used = set(run["volumes"])
        volumes = tuple(replace(v, used_by=live.key) if v.name in used else v for v in said.volumes)
        self._set(host, instances=(*said.instances, live), volumes=volumes)

    def _claims(self, said: Survey, document: Mapping[str, Any]) -> None:
        run, key = document["run"], _key(document)
        missing = set(run["images"]) - said.images
        if missing:
            raise Refused("no-image", f"{key} on {said.host}")
        known = {volume.name for volume in said.volumes}
        if set(run["volumes"]) - known:
            raise Refused("not-found", f"{key} needs volumes {run['volumes']}")
        for name in run["volumes"]:
            users = [live.key for each in self.hosts.values() for live in each.instances if name in live.volumes]
            if users:
                raise Refused("taken", f"{key} needs volume {name}, used by {users}")
        ports = {int(f["host"]) for live in said.instances for f in live.forwards}
        ports |= {claim.port for claim in said.claims if claim.kind == "port"}
        if ports & {int(f["host"]) for f in run["forwards"]}:
            raise Refused("taken", f"{key} takes a port of {said.host} that is held")
        if document["launch"] <= said.retired.get(document["name"], 0):
            raise Broken(f"{key} has a launch number that was there")
        held = sum(live.memory + live.overhead for live in said.instances) + run["memory"] + run["overhead"]
        held += sum(claim.amount for claim in said.claims if claim.kind == "memory")
        if held > said.memory:
            raise Refused("taken", f"{said.host} is promised more memory than it has")

    def _retire(self, host: str, key: str) -> None:
        said = self.hosts[host]
        live = next((each for each in said.instances if each.key == key), None)
        if live is None:
            raise Broken(f"{key} is retired and is not there")
        for other in self.ingress:
            if other not in self.deaf and self.sends(other, live):
                raise Broken(f"{key} is retired while the ingress of {other} sends to it")
        if any(self.sends(other, live) for other in self.deaf):
            raise Broken(f"{key} is retired while a silent ingress may send to it")
        volumes = tuple(replace(v, used_by="") if v.used_by == key else v for v in said.volumes)
        retired = {**said.retired, live.name: max(live.launch, said.retired.get(live.name, 0))}
        rest = tuple(each for each in said.instances if each.key != key)
        self._set(host, instances=rest, volumes=volumes, retired=retired)

    def _volume(self, step: Step) -> None:
        name = step.data.volume
        if any(volume.name == name for said in self.hosts.values() for volume in said.volumes):
            raise Broken(f"volume {name} is made twice")
        said = self.hosts[step.host]
        self._set(step.host, volumes=(*said.volumes, LiveVolume(name=name, size=step.data.size)))

    def _delete(self, step: Step) -> None:
        said = self.hosts[step.host]
        gone = [volume for volume in said.volumes if volume.name == step.data.volume]
        if not gone:
            raise Broken(f"{step.id}: it is not there")
        if gone[0].used_by:
            raise Refused("taken", f"{step.id}: {gone}")
        self._set(step.host, volumes=tuple(volume for volume in said.volumes if volume not in gone))

    def _ingress(self, plan: Plan, host: str, services: Mapping[str, Any]) -> None:
        text = members.render_config(plan.owner, services)
        self.ingress[host] = dict(services)
        if not text:
            del self.ingress[host]
        digest = members.config_digest(plan.owner, services)
        servers = dict.fromkeys(self.behind(host), "UP")
        self._set(host, ingress={"state": "running" if text else "absent", "hash": digest, "servers": servers})

    def _close(self, host: str) -> None:
        if self.hosts[host].instances:
            raise Broken(f"the fleet leaves {host}, and {self.hosts[host].instances} are there")
        behind = [live.key for said in self.hosts.values() for live in said.instances if self.sends(host, live)]
        if behind:
            raise Broken(f"the ingress of {host} goes, and {behind} are behind it")
        self.ingress.pop(host, None)
        gone = {"images": frozenset(), "damaged": frozenset()}
        self._set(host, ingress={"state": "absent", "hash": ""}, policy=None, hosts=None, **gone)

    def _revive(self, host: str) -> None:
        for live in self.hosts[host].instances:
            if live.state == "unsupervised":
                self._instance(host, live.key, state="running")
            self._instance(host, live.key, at_boot=True)

    def _instance(self, host: str, key: str, **given: Any) -> None:
        rows = self.hosts[host].instances
        if key not in {live.key for live in rows}:
            raise Refused("not-found", f"{key} is not on {host}")
        self._set(host, instances=tuple(replace(live, **given) if live.key == key else live for live in rows))

    def _has(self, host: str, document: Mapping[str, Any]) -> bool:
        return any(live.key == _key(document) for live in self.hosts[host].instances)

    def _set(self, host: str, **given: Any) -> None:
        self.hosts[host] = replace(self.hosts[host], **given)


def _key(document: Mapping[str, Any]) -> str:
    return f"{document['name']}.{document['generation']}"


def _same_ports(live: LiveInstance, document: Mapping[str, Any]) -> bool:
    def ports(rows: Iterable[Mapping[str, Any]]) -> set[tuple[str, int, str]]:
        return {(str(f["name"]), int(f["host"]), str(f["bind"])) for f in rows}

    return ports(live.forwards) == ports(document["run"]["forwards"])


def simulate(world: World) -> Simulator:
    """A simulator of hosts that all answer."""
    return Simulator(hosts={name: said for name, said in world.items() if isinstance(said, Survey)})
