"""Steps that touch no guest: marks, ingress, images, named volumes, what hosts remember, leaving hosts. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from unictl.fleet.quantities import memory_text
from unictl.instances.observed.host_state import LiveInstance, Survey
from unictl.plan.context import last_applied
from unictl.plan.context.context import Situation
from unictl.plan.context.scope import Scope
from unictl.plan.guards import fleet_rename, health_checks
from unictl.plan.ingress import members
from unictl.plan.model.change import Action, Change, Field
from unictl.plan.model.reason import Reason
from unictl.plan.model.step import Kind, Step
from unictl.plan.reconcile.classify import running
from unictl.plan.reconcile.reconcile import Work
from unictl.plan.rollout import step_factory
from unictl.plan.rollout.builder import Draft, step
from unictl.plan.rollout.ingress_members import stop_ingress, superfluous_ingresses
from unictl.plan.rollout.rollout import Rollout

_INGRESS = (Kind.JOIN, Kind.LEAVE)


def marks(s: Situation, about: Scope, draft: Draft, works: Iterable[Work]) -> Iterator[Change]:
    """Marks that differ, and instances whose keeper is dead or whose unit is not enabled: touching them under a lease
    mends that."""
    for work in works:
        live, wished = work.change.old, work.wished
        if work.change.action is not Action.KEEP or live is None or wished is None or live.name != wished.name:
            continue
        service = s.service(wished)
        noted = health_checks.kinds(service) if health_checks.differ(service, live) else None
        protects = live.protect != wished.protect
        stray = live.state == "unsupervised" or _not_at_boot(live)
        if not (protects or noted is not None or stray) or not about.wished(wished):
            continue
        step_factory.mark(draft, live, protect=wished.protect, checks=noted)
        subject, where = f"marks:{live.name}", (live.host, wished.service)
        if protects:
            field = Field(path="protect", old=live.protect, new=wished.protect)
            yield _row(subject, Reason.PROTECT, *where, (field,), "protect")
        elif noted is not None:
            field = Field(path="health", old=_listed(live.checks), new=_listed(noted))
            yield _row(subject, Reason.CHECK_ADDED if noted else Reason.CHECK_REMOVED, *where, (field,), "health")
        else:
            yield _row(subject, Reason.NOT_AT_BOOT if _not_at_boot(live) else Reason.UNSUPERVISED, *where)


def _not_at_boot(live: LiveInstance) -> bool:
    """Whether it runs and would not after a reboot of its host. Whoever takes the lease mends that too."""
    return running(live) and not live.at_boot


def _listed(kinds: Sequence[str] | None) -> str | None:
    return ", ".join(kinds or ()) or None


def _row(
    subject: str, reason: Reason, host: str, service: str = "", fields: tuple[Field, ...] = (), key: str = ""
) -> Change:
    origin = (("services", service, key) if key else ("services", service)) if service else ()
    return Change(
        action=Action.ADJUST, subject=subject, reason=reason, host=host, service=service, fields=fields, origin=origin
    )


def ingresses(s: Situation, made: Rollout) -> Iterator[Change]:
    """Ingresses that are not what they should be, where no other step writes them anyway."""
    if s.options.destroy:
        return
    if not any(each.kind in _INGRESS and each.service for each in made.draft.steps()):
        wanted = members.digest(s.fleet.owner, made.after)
        for host in made.ingresses:
            yield from _ingress(s, made, host, wanted)
    for host in superfluous_ingresses(s):
        stop_ingress(made.draft, host)
        yield replace(
            _row("ingress", Reason.INGRESS, host), detail="this host is to have none", origin=("hosts", host, "ingress")
        )


def _ingress(s: Situation, made: Rollout, host: str, wanted: str) -> Iterator[Change]:
    state = s.answered[host].ingress.get("state", "absent")
    found = s.answered[host].ingress.get("hash", "")
    runs = "running" if wanted else "absent"
    if (state == runs or (wanted and state == "starting")) and found == wanted:
        return
    if s.opaque:
        yield _held_ingress(s, host)
        return
    data = {"services": made.after}
    made.draft.add(step(f"join:{host}", Kind.JOIN, host, (), data, subject="ingress"))
    fields = _members(s, made, host) if state == "running" else None
    renamed = bool(s.fleet.former) and found == members.digest(s.fleet.former, made.after)
    forms = _NAME if renamed else _FORMS
    detail = _STATES.get(state, forms if fields == () else "") if wanted else "nothing is to listen there any more"
    yield replace(_row("ingress", Reason.INGRESS, host, fields=fields or ()), detail=detail)


_STATES = {
    "absent": "there is none yet",
    "dead": "it does not run",
    "foreign": "it does not run, and another program listens where it is to",
}
_NAME = "only the name of the fleet in it differs"
_FORMS = "where it listens, how it checks, or how long it lets sessions end differs; who answers does not"


def _members(s: Situation, made: Rollout, host: str) -> tuple[Field, ...] | None:
    """Who leaves and who joins, service by service; None where the host does not say who is behind it."""
    there = s.answered[host].ingress.get("servers")
    if there is None:
        return None
    wished = {server["name"] for rows in made.after.values() for row in rows for server in row["servers"]}
    moved: defaultdict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for n, keys in enumerate((there.keys() - wished, wished - there.keys())):
        for key in sorted(keys):
            moved[key.partition(".")[0].rpartition("-")[0]][n].append(key)
    return tuple(
        Field(path=f"{service}.servers", old=", ".join(old) or None, new=", ".join(new) or None)
        for service, (old, new) in sorted(moved.items())
    )


def _held_ingress(s: Situation, host: str) -> Change:
    detail = f"{', '.join(s.silent)}: who answers there is unknown, so nobody is taken out"
    return Change(action=Action.HELD, subject="ingress", reason=Reason.INGRESS_UNKNOWN, host=host, detail=detail)


def images(s: Situation, draft: Draft) -> Iterator[Change]:
    """Damaged or missing images that somebody runs from: a guest that crashes would not come back."""
    known = step_factory.files(s.facts)
    for host, said in s.answered.items():
        run = {sha for live in said.instances for sha in live.images}
        for sha in sorted(run & set(known) - said.images):
            draft.add(step_factory.stage(known, host, sha))
            subject = f"image:{known[sha].image}.{known[sha].part}"
            yield _row(subject, Reason.IMAGE_DAMAGED if sha in said.damaged else Reason.IMAGE_MISSING, host)


def volumes(s: Situation, draft: Draft, works: Sequence[Work]) -> Iterator[Change]:
    """Volumes that are created, and those that were named to be deleted."""
    made = {step.data["volume"]: step for step in draft.steps() if step.kind is Kind.VOLUME}
    for name, each in sorted(made.items()):
        origin = ("services", each.service, "volumes")
        yield Change(
            action=Action.CREATE,
            subject=f"volume:{name}",
            reason=Reason.NEW,
            host=each.host,
            service=each.service,
            detail=memory_text(each.data["size"]),
            origin=origin,
        )
    kept = {
        v
        for work in works
        if work.wished and work.change.action is not Action.DESTROY
        for v in work.wished.volumes.values()
    }
    for host, said in s.answered.items():
        for volume in sorted(said.volumes, key=lambda each: each.name):
            if volume.name in s.options.allow_volumes and volume.name not in kept:
                yield _deleted(draft, host, volume.name, volume.used_by)


def _deleted(draft: Draft, host: str, name: str, used_by: str) -> Change:
    ends = [
        each.id
        for each in draft.steps()
        if each.kind is Kind.RETIRE and each.host == host and each.data["key"] == used_by
    ]
    draft.add(step(f"delete:{host}:{name}", Kind.DELETE, host, ends, {"volume": name}, subject=f"volume:{name}"))
    return Change(action=Action.DESTROY, subject=f"volume:{name}", reason=Reason.VOLUME_NAMED, host=host)


def remembered(s: Situation, draft: Draft) -> Iterator[Change]:
    """What touched hosts are to remember, last of all on each; and hosts that remember something else."""
    policy, hosts = last_applied.policy_json(s.fleet.policy), last_applied.hosts_json(s, _stays(s, draft))
    last, emptied, former = _last(draft), _emptied(s, draft), fleet_rename.pending(s)
    data: dict[str, Any] = {"policy": policy, "hosts": hosts}
    if s.fleet.was:
        data["fleet"] = {"mark": s.fleet.mark, "id": s.fleet.id}
    for host, said in s.answered.items():
        differs = last_applied.differs(said, policy, tuple(hosts)) or host in former
        if host not in s.fleet.hosts or not differs:
            continue
        if host in last or said.policy is not None or host in former:
            needs = draft.barrier(f"done:{host}", (*last.get(host, ()), *emptied))
            draft.add(step(f"remember:{host}", Kind.REMEMBER, host, needs, data, subject="policy"))
        if host in former:
            field = Field(path="name", old=said.naming.called, new=s.fleet.owner)
            yield replace(_row("fleet", Reason.FLEET_RENAMED, host, fields=(field,)), origin=("fleet", "was"))
        elif host not in last and said.policy is not None:
            yield _row("policy", Reason.POLICY, host)


def _stays(s: Situation, draft: Draft) -> set[str]:
    """Hosts where an instance is left when all steps are done."""
    gone = {(each.host, each.data["key"]) for each in draft.steps() if each.kind is Kind.RETIRE}
    come = {each.host for each in draft.steps() if each.kind is Kind.LAUNCH}
    lives = ((host, live.key) for host, said in s.answered.items() for live in said.instances)
    return come | {host for host, key in lives if (host, key) not in gone}


def _emptied(s: Situation, draft: Draft) -> list[str]:
    """The ends of what leaves drained hosts: before them nobody may say that such a host may go."""
    drained = {name for name, host in s.fleet.hosts.items() if host.drain}
    return [each.id for each in draft.steps() if each.kind is Kind.RETIRE and each.host in drained]


def _last(draft: Draft) -> Mapping[str, list[str]]:
    """By host, its steps that no other step of it needs."""
    own: defaultdict[str, list[Step]] = defaultdict(list)
    for each in draft.steps():
        if each.host:
            own[each.host].append(each)
    needed = {host: {need for each in steps for need in each.needs} for host, steps in own.items()}
    return {host: [each.id for each in steps if each.id not in needed[host]] for host, steps in own.items()}


def closed(s: Situation, made: Rollout) -> Iterator[Change]:
    """A fleet that goes leaves every host where it has something and nothing of it stays; an ingress only where nobody
    is behind it any more, on whatever host, and none who does not answer may be."""
    draft = made.draft
    last, stays = _last(draft), _stays(s, draft)
    serves = s.opaque or any(server for rows in made.after.values() for row in rows for server in row["servers"])
    for host, said in s.answered.items():
        listens, ends = _listens(said), last.get(host, ())
        if host in stays or (listens and serves) or not (ends or listens or said.policy is not None):
            continue
        draft.add(step(f"close:{host}", Kind.CLOSE, host, draft.barrier(f"done:{host}", ends), {}, subject=host))
        if listens:
            yield replace(_row("ingress", Reason.INGRESS, host), detail="it ends, for nobody is behind it any more")


def _listens(said: Survey) -> bool:
    return said.ingress.get("state", "absent") not in ("absent", "foreign")
