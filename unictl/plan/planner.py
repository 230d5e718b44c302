"""The planning pipeline: fleet, images and live state in, Plan out. Pure: equal inputs give an equal plan in any
order.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from unictl.diagnostics.diagnostic import Diagnostic, Problems, Severity, errors
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Path, Place
from unictl.fleet.model import Fleet, Host
from unictl.instances.desired.instance import wish
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.observed.host_state import World
from unictl.instances.placement.explain import Refusal
from unictl.instances.placement.place import Placement
from unictl.plan.context.context import Situation, look
from unictl.plan.context.scope import Scope, scope
from unictl.plan.estimates import duration
from unictl.plan.estimates.headroom import tightest
from unictl.plan.estimates.image_sources import AtHand, missing, origins
from unictl.plan.file.preconditions import read, wanted_ports
from unictl.plan.guards import accidents, budget, duplicates, fleet_rename, health_checks, host_identity, hosts, ports
from unictl.plan.ingress.members import Membership, routed
from unictl.plan.model.change import Action, Change
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.plan import Endpoint, Plan
from unictl.plan.model.revision import Revision
from unictl.plan.model.step import Kind, Step
from unictl.plan.reconcile.reconcile import Difference, difference
from unictl.plan.rollout import adjustments, graph, step_factory
from unictl.plan.rollout.rollout import Rollout, rollout

_EMPTY: Mapping[Path, Place] = {}


def build(
    fleet: Fleet,
    facts: FleetFacts,
    endpoints: Mapping[str, int],
    world: World,
    *,
    revision: Revision,
    options: PlanOptions = PlanOptions(),  # noqa: B008 - frozen
    places: Mapping[Path, Place] = _EMPTY,
    at_hand: AtHand | None = None,
) -> Plan:
    """The plan that turns ``world`` into ``fleet``. What speaks against it is in it; ValueError for a bad selector.

    ``facts`` and ``endpoints`` are complete (``preflight`` has passed), or a KeyError tells what they lack.
    ``at_hand``: see ``plan.origins``.
    """
    s = look(fleet, facts, endpoints, world, wished=wish(fleet, facts), options=options, commit=revision.origin)
    about = scope(s)
    found = difference(s, about)
    made = rollout(s, found.works)
    rows = (*(row for work in found.works for row in (work.change, *work.twins)), *_extras(s, about, found, made))
    changes = tuple(map(_slim, rows))
    brought = origins(s, made.draft.steps(), at_hand)
    findings = chain(_findings(s, about, found, made, changes, revision), missing(brought))
    problems = _problems(findings, places)
    plan = _plan(s, about, made, changes, _ordered(made), brought, revision, problems, places)
    return replace(plan, tightest=tightest(s, found.placement.left, plan.steps))


def _slim(change: Change) -> Change:
    """How the old one was launched stands in its wave's undo, where it is of use, and nowhere else."""
    if change.old is None or change.old.launched is None:
        return change
    return replace(change, old=replace(change.old, launched=None))


def _extras(s: Situation, about: Scope, found: Difference, made: Rollout) -> tuple[Change, ...]:
    """Rows that touch no guest, and their steps; a partial plan leaves what is nobody's alone."""
    draft = made.draft
    rows = [*adjustments.marks(s, about, draft, found.works), *(adjustments.ingresses(s, made) if about.whole else ())]
    rows += adjustments.volumes(s, draft, found.works)
    if s.options.destroy:
        if about.whole:
            rows += adjustments.closed(s, made)
    elif about.whole:
        rows += adjustments.images(s, draft)
        rows += adjustments.remembered(s, draft)
    return tuple(rows)


def _ordered(made: Rollout) -> tuple[Step, ...]:
    return graph.order(made.draft.steps())


def _findings(
    s: Situation,
    about: Scope,
    found: Difference,
    made: Rollout,
    changes: tuple[Change, ...],
    revision: Revision,
) -> Iterable[Finding]:
    written = () if s.options.destroy else made.ingresses
    wanted = {w.name for w in s.wished if about.wished(w)}
    return chain(
        host_identity.mistaken(s),
        hosts.hosts(s),
        fleet_rename.renaming(s),
        duplicates.returned(s),
        duplicates.volumes(s),
        hosts.publishing(s),
        _placement(wanted, found.placement),
        hosts.protection(s, changes),
        hosts.volumes(s, found.works, made),
        hosts.floors(s, found.works),
        health_checks.removed(s, about),
        hosts.capabilities(s, made),
        hosts.ports(s, made.after, written),
        ports.low_ports(s, made.after, written),
        hosts.lengths(s, made, written),
        budget.judged(s, changes, revision, whole=about.whole),
        accidents.emptied(s, changes),
        accidents.renamed(s, changes),
        accidents.bereft(s, changes, found.works),
    )


def _placement(wanted: set[str], placement: Placement) -> Iterable[Finding]:
    for refusal in placement.refusals:
        if refusal.instance in wanted:
            path = _grounds(refusal)
            named = "" if refusal.instance in refusal.text else f"{refusal.instance} cannot be on {refusal.host}: "
            hint = placement.nearest.get(refusal.instance) or _OTHERWISE.get(refusal.dimension, "")
            text, hint = named + refusal.text, hint.format(host=refusal.host)
            yield Finding(path=path, code=f"no-room-{refusal.dimension}", text=text, hint=hint)


def _grounds(refusal: Refusal) -> Path:
    """The key of the fleet file that makes it so: of the service, or of the host that cannot be used."""
    service, asked = ("services", refusal.instance.rpartition("-")[0]), refusal.dimension
    if asked in ("drain", "lost"):
        return ("hosts", refusal.host, asked)
    if asked in ("require", "hosts", "apart_from"):
        return (*service, "placement", asked)
    return (*service, asked) if asked in ("memory", "cpus", "ports", "hypervisor") else service


_OTHERWISE = {
    "drain": "add a host, or take `drain` off {host}",
    "lost": "add a host, or take `lost` off {host} where it is back",
    "silent": "bring {host} back, or write `lost: true` for it where it is dead",
    "require": "label a host so, or change `placement.require`",
    "hosts": "change `placement.hosts`",
    "apart_from": "add a host, or change `placement.apart_from`",
}
"""What to do where no amount is what is missing."""


def _problems(findings: Iterable[Finding], places: Mapping[Path, Place]) -> Problems:
    found = (
        Diagnostic(
            code=each.code,
            summary=each.text,
            severity=each.severity,
            detail=each.detail,
            hint=each.hint,
            place=_decides(each, places),
            related=tuple(filter(None, (places.get(path) for path in each.related))),
        )
        for each in findings
    )
    return tuple(dict.fromkeys(found))


def _decides(found: Finding, places: Mapping[Path, Place]) -> Place | None:
    """The key that decides; where it is at its default, what it is about."""
    if found.instead and found.path not in places:
        return _place(found.instead, places) or _place(found.path, places)
    return _place(found.path, places)


def _place(path: Path, places: Mapping[Path, Place]) -> Place | None:
    """Where it is written, or else what encloses it."""
    prefixes = (path[:size] for size in range(len(path), 0, -1))
    return next((places[prefix] for prefix in prefixes if prefix in places), None)


def _plan(
    s: Situation,
    about: Scope,
    made: Rollout,
    changes: tuple[Change, ...],
    steps: tuple[Step, ...],
    brought: Mapping[str, Mapping[str, Any]],
    revision: Revision,
    problems: Problems,
    places: Mapping[Path, Place],
) -> Plan:
    touched = sorted({each.host for each in steps if each.host})
    holders = {row["host"] for row in brought.values() if "host" in row}
    ports = wanted_ports(steps)
    return Plan(
        name=s.fleet.name,
        mark=s.fleet.mark,
        owner=s.fleet.owner,
        was=s.fleet.former,
        fleet_id=s.fleet.id,
        environment=s.fleet.environment,
        revision=revision,
        hosts={name: _host(s, name) for name in sorted({*touched, *holders})},
        changes=changes,
        steps=steps,
        read={name: read(s.answered[name], ports.get(name, ())) for name in touched},
        membership=_memberships(made, steps),
        endpoints=() if s.options.destroy else _endpoints(s, made),
        images=brought,
        secrets=tuple(sorted({name for each in steps if each.kind is Kind.LAUNCH for name in each.data["secrets"]})),
        silent=s.silent,
        refusals=errors(problems),
        warnings=tuple(each for each in problems if each.severity is Severity.WARNING),
        partial=about.words,
        destroys_all=s.options.destroy and about.whole,
        overrides=_overrides(s),
        waves=made.waves,
        facts={"places": _shown(changes, places), "images": sorted(step_factory.files(s.facts)), **_known(s, steps)},
    )


def _known(s: Situation, steps: tuple[Step, ...]) -> dict[str, Any]:
    """What earlier applies tell of this one: how long it takes, and what failed, to be taken back once healthy."""
    failed = {name: sorted(each) for name, each in s.failed.items()}
    return _lasting(steps, s) | ({"failed_before": failed} if failed else {})


def _lasting(steps: tuple[Step, ...], s: Situation) -> dict[str, Any]:
    """At least so many seconds are rounded down, about so many up."""
    found = duration.estimate(steps, s.world)
    if found is None:
        return {}
    if not found.least:
        return {"seconds": math.ceil(found.seconds)}
    return {"seconds": math.floor(found.seconds), "seconds_at_least": "checks" if found.blank else "unseen"}


def _host(s: Situation, name: str) -> dict[str, Any]:
    host = s.fleet.hosts.get(name) or Host(name=name)
    way = host.connect
    return {
        "host_id": s.answered[name].host_id,
        "connect": {"kind": way.kind, "host": way.host, "user": way.user, "port": way.port},
        "root": host.root,
        "become": host.become,
        "address": host.address,
        "keep": {"retired": host.keep.retired, "images": host.keep.images},
    }


def _memberships(made: Rollout, steps: Iterable[Step]) -> dict[str, Membership]:
    """What every ingress that is written has before the first step; of one that is to stop, nothing is kept."""
    written = {each.host for each in steps if each.kind in (Kind.JOIN, Kind.LEAVE)}
    return {host: made.before if host in made.ingresses else {} for host in sorted(written)}


def _endpoints(s: Situation, made: Rollout) -> tuple[Endpoint, ...]:
    """What listens where once the plan is applied."""
    found = []
    for name, service in sorted(s.fleet.services.items()):
        for port in routed(service):
            number = s.endpoints.get(f"{name}.{port.name}")
            if number is not None:
                found.append(_endpoint("endpoint", name, port.name, "127.0.0.1", number, made.ingresses))
            published = [p.port for p in service.publish if p.to == port.name]
            found += [_endpoint("published", name, port.name, "*", each, made.ingresses) for each in published]
    return tuple(found)


def _endpoint(kind: str, service: str, port: str, address: str, number: int, hosts: tuple[str, ...]) -> Endpoint:
    return Endpoint(kind=kind, service=service, port=port, address=address, number=number, hosts=hosts)


def _overrides(s: Situation) -> tuple[str, ...]:
    named = [f"volume:{name}" for name in sorted(s.options.allow_volumes)]
    changes = [] if s.options.allow_changes is None else [f"changes:{s.options.allow_changes}"]
    return (*([] if s.options.allow_destroy is None else [str(s.options.allow_destroy)]), *changes, *named)


def _shown(changes: Iterable[Change], places: Mapping[Path, Place]) -> dict[str, str]:
    """Where the rows come from, for display: by dotted path, of each the nearest that is known."""
    found: dict[str, str] = {}
    for origin in {change.origin for change in changes if change.action is not Action.KEEP}:
        place = _place(origin, places)
        if place is not None:
            found[".".join(map(str, origin))] = str(place)
    return dict(sorted(found.items()))
