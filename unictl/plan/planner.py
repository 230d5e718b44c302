"""The planning pipeline: fleet, images and live state in, Plan out. Pure: equal inputs give an equal plan in any
order.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from unictl.diagnostics.diagnostic import Problems, Severity, errors
from unictl.diagnostics.resolve import NO_PLACES, PlaceIndex, resolve_findings
from unictl.fleet.model import Fleet, Host
from unictl.instances.desired.instance import desired_instances
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.observed.host_state import LiveState
from unictl.plan.context.context import PlanContext, build_context
from unictl.plan.context.scope import Scope, resolve_scope
from unictl.plan.estimates import duration
from unictl.plan.estimates.headroom import compute_headroom
from unictl.plan.estimates.image_sources import LocalFiles, find_sources, missing_sources
from unictl.plan.file.preconditions import host_preconditions, required_ports
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.guards.guard_table import check_draft
from unictl.plan.ingress.members import ingress_ports
from unictl.plan.model.change import Action, Change
from unictl.plan.model.image_source import ImageSource
from unictl.plan.model.ingress import Membership
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.payloads import LaunchData
from unictl.plan.model.plan import Endpoint, Plan
from unictl.plan.model.plan_facts import PlanFacts
from unictl.plan.model.plan_host import PlanHost
from unictl.plan.model.revision import Revision
from unictl.plan.model.step import Step
from unictl.plan.reconcile.reconcile import Reconciliation, reconcile
from unictl.plan.rollout import adjustments, graph, step_factory
from unictl.plan.rollout.rollout import Rollout, plan_rollout


def build(
    fleet: Fleet,
    facts: FleetFacts,
    endpoints: Mapping[str, int],
    live_state: LiveState,
    *,
    revision: Revision,
    options: PlanOptions = PlanOptions(),  # noqa: B008 - frozen
    places: PlaceIndex = NO_PLACES,
    local_files: LocalFiles | None = None,
) -> Plan:
    """The plan that turns ``live_state`` into ``fleet``.

    What speaks against it is in it; ValueError for a bad selector.

    ``facts`` and ``endpoints`` are complete (``preflight`` has passed), or a KeyError tells what they lack.
    ``local_files``: see ``plan.origins``.
    """
    context = build_context(
        fleet,
        facts,
        endpoints,
        live_state,
        desired=desired_instances(fleet, facts),
        options=options,
        commit=revision.label,
    )
    scope = resolve_scope(context)
    reconciliation = reconcile(context, scope)
    rollout = plan_rollout(context, reconciliation.instance_changes)
    full_changes = (
        *(
            change
            for instance_change in reconciliation.instance_changes
            for change in (instance_change.change, *instance_change.other_generations)
        ),
        *_adjustments(context, scope, reconciliation, rollout),
    )
    changes = tuple(map(_drop_launch_document, full_changes))
    steps = rollout.builder.steps()
    ordered_steps = graph.topological_order(steps)
    sources = find_sources(context, steps, local_files)
    draft = PlanDraft(
        context=context,
        scope=scope,
        reconciliation=reconciliation,
        rollout=rollout,
        changes=changes,
        steps=steps,
        ordered_steps=ordered_steps,
        revision=revision,
    )
    findings = (*check_draft(draft), *missing_sources(sources))
    problems = tuple(dict.fromkeys(resolve_findings(findings, places)))
    plan = _assemble(draft, sources, problems, places)
    return replace(plan, headroom=compute_headroom(context, reconciliation.placement.remaining, plan.steps))


def _drop_launch_document(change: Change) -> Change:
    """How the old one was launched stands in its wave's undo, where it is of use, and nowhere else."""
    if change.old is None or change.old.launched is None:
        return change
    return replace(change, old=replace(change.old, launched=None))


def _adjustments(
    context: PlanContext, scope: Scope, reconciliation: Reconciliation, rollout: Rollout
) -> tuple[Change, ...]:
    """Rows that touch no guest, and their steps; a partial plan leaves what is nobody's alone."""
    builder = rollout.builder
    extra_changes = [
        *adjustments.adjust_marks(context, scope, builder, reconciliation.instance_changes),
        *(adjustments.adjust_ingresses(context, rollout) if scope.is_whole else ()),
    ]
    extra_changes += adjustments.adjust_volumes(context, builder, reconciliation.instance_changes)
    if context.options.destroy:
        if scope.is_whole:
            extra_changes += adjustments.close_hosts(context, rollout)
    elif scope.is_whole:
        extra_changes += adjustments.restage_images(context, builder)
        extra_changes += adjustments.record_last_applied(context, builder)
    return tuple(extra_changes)


def _assemble(
    draft: PlanDraft,
    sources: Mapping[str, ImageSource],
    problems: Problems,
    places: PlaceIndex,
) -> Plan:
    context, scope, rollout, changes = draft.context, draft.scope, draft.rollout, draft.changes
    ordered_steps = draft.ordered_steps
    touched_hosts = sorted({item.host for item in ordered_steps if item.host})
    source_hosts = {source.host for source in sources.values() if source.host}
    ports_by_host = required_ports(ordered_steps)
    return Plan(
        name=context.fleet.name,
        mark=context.fleet.mark,
        owner=context.fleet.owner,
        was=context.fleet.former_owner,
        fleet_id=context.fleet.id,
        environment=context.fleet.environment,
        revision=draft.revision,
        hosts={name: _plan_host(context, name) for name in sorted({*touched_hosts, *source_hosts})},
        changes=changes,
        steps=ordered_steps,
        preconditions={
            name: host_preconditions(context.surveys[name], ports_by_host.get(name, ())) for name in touched_hosts
        },
        membership=_initial_memberships(rollout, ordered_steps),
        endpoints=() if context.options.destroy else _planned_endpoints(context, rollout),
        images=sources,
        secrets=tuple(
            sorted({name for item in ordered_steps if isinstance(item.data, LaunchData) for name in item.data.secrets})
        ),
        silent=context.unreachable,
        refusals=errors(problems),
        warnings=tuple(item for item in problems if item.severity is Severity.WARNING),
        partial=scope.description,
        destroys_all=context.options.destroy and scope.is_whole,
        overrides=_policy_overrides(context),
        waves=rollout.waves,
        facts=_plan_facts(context, changes, ordered_steps, places),
    )


def _plan_facts(
    context: PlanContext,
    changes: tuple[Change, ...],
    ordered_steps: tuple[Step, ...],
    places: PlaceIndex,
) -> PlanFacts:
    facts = PlanFacts(
        places=_origin_places(changes, places),
        images=tuple(sorted(step_factory.image_files(context.facts))),
        failed_before={name: tuple(sorted(fingerprints)) for name, fingerprints in context.failed_fingerprints.items()},
    )
    estimate = duration.estimate_duration(ordered_steps, context.live_state)
    if estimate is None:
        return facts
    if not estimate.is_lower_bound:
        return replace(facts, seconds=math.ceil(estimate.seconds))
    # A lower bound is rounded down, so that it stays one.
    reason = "checks" if estimate.is_unmeasured else "unseen"
    return replace(facts, seconds=math.floor(estimate.seconds), seconds_at_least=reason)


def _plan_host(context: PlanContext, name: str) -> PlanHost:
    host = context.fleet.hosts.get(name) or Host(name=name)
    return PlanHost(
        host_id=context.surveys[name].host_id,
        connect=host.connect,
        root=host.root,
        become=host.become,
        address=host.address,
        keep_retired=host.keep.retired,
        keep_images=host.keep.images,
    )


def _initial_memberships(rollout: Rollout, ordered_steps: Iterable[Step]) -> dict[str, Membership]:
    """What every ingress that is written has before the first step; of one that is to stop, nothing is kept."""
    ingress_hosts = {step.host for step in ordered_steps if step.traits.writes_ingress}
    return {host: rollout.membership_before if host in rollout.ingress_hosts else {} for host in sorted(ingress_hosts)}


def _planned_endpoints(context: PlanContext, rollout: Rollout) -> tuple[Endpoint, ...]:
    """What listens where once the plan is applied."""
    endpoints = []
    for name, service in sorted(context.fleet.services.items()):
        for port in ingress_ports(service):
            number = context.endpoints.get(f"{name}.{port.name}")
            if number is not None:
                endpoints.append(_endpoint("endpoint", name, port.name, "127.0.0.1", number, rollout.ingress_hosts))
            published = [publication.port for publication in service.publish if publication.to == port.name]
            endpoints += [
                _endpoint("published", name, port.name, "*", published_port, rollout.ingress_hosts)
                for published_port in published
            ]
    return tuple(endpoints)


def _endpoint(
    kind: str, service: str, port: str, address: str, number: int, ingress_hosts: tuple[str, ...]
) -> Endpoint:
    return Endpoint(kind=kind, service=service, port=port, address=address, number=number, hosts=ingress_hosts)


def _policy_overrides(context: PlanContext) -> tuple[str, ...]:
    volume_overrides = [f"volume:{name}" for name in sorted(context.options.allow_volumes)]
    changes = [] if context.options.allow_changes is None else [f"changes:{context.options.allow_changes}"]
    return (
        *([] if context.options.allow_destroy is None else [str(context.options.allow_destroy)]),
        *changes,
        *volume_overrides,
    )


def _origin_places(changes: Iterable[Change], places: PlaceIndex) -> dict[str, str]:
    """Where the rows come from, for display: by dotted path, of each the nearest that is known."""
    place_by_path: dict[str, str] = {}
    for origin in {change.origin for change in changes if change.action is not Action.KEEP}:
        place = places.nearest(origin)
        if place is not None:
            place_by_path[".".join(map(str, origin))] = str(place)
    return dict(sorted(place_by_path.items()))
