"""Checks the assertions under `tests:` against the state that the fleet file implies; no host is asked. Pure.

Placement, reconciliation and what-if answer, the functions that make plans; a failure points at the place in the
file.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.failure_scenarios import FailureScenario, expand_scenarios
from unictl.fleet.model import Fleet, FleetTest, HostLoss, Service
from unictl.fleet.names import InstanceName, join_names
from unictl.fleet.quantities import Share
from unictl.fleet.selection import parse_selector
from unictl.instances.desired.instance import desired_instances
from unictl.instances.desired.spec import FleetFacts
from unictl.instances.observed.host_state import LiveState, Survey
from unictl.instances.placement.place import Placement
from unictl.plan.context.context import build_context
from unictl.plan.context.scope import resolve_scope
from unictl.plan.guards import budget, protection
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.revision import Revision
from unictl.plan.reconcile.reconcile import reconcile
from unictl.plan.whatif.assumed_world import converged_world
from unictl.plan.whatif.whatif import Prediction, Scenario, apply_scenario, predict

_NO_LOSS = FailureScenario(description="", hosts=())
_ANY_HOST = HostLoss(any="host")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTestResult:
    """One test: whether it holds, and in how many ways it was tried."""

    name: str
    failures: tuple[Finding, ...]
    scenario_count: int

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.failures


def run_fleet_tests(fleet: Fleet, facts: FleetFacts) -> tuple[FleetTestResult, ...]:
    """All tests of a fleet, by name."""
    return tuple(_run_test(fleet, facts, fleet.tests[name]) for name in sorted(fleet.tests))


def _run_test(fleet: Fleet, facts: FleetFacts, test: FleetTest) -> FleetTestResult:
    case = _build_case(fleet, facts, test)
    failures = (*_check_healthy(case), *_check_fits(case), *_check_apart(case), *_check_destroys(case))
    return FleetTestResult(name=test.name, failures=failures, scenario_count=len(case.host_losses))


@dataclass(frozen=True, slots=True, kw_only=True)
class _FleetTestCase:
    """A test with the world that it supposes, before anything is lost."""

    test: FleetTest
    fleet: Fleet
    facts: FleetFacts
    live_state: LiveState
    placement: Placement
    host_losses: tuple[FailureScenario, ...]

    @property
    def path(self) -> DocumentPath:
        return ("tests", self.test.name)

    def expand_loss(self, loss: HostLoss) -> tuple[FailureScenario, ...]:
        """The ways to lose hosts that are there."""
        return tuple(expand_scenarios(loss, {name: host for name, host in self.fleet.hosts.items() if not host.lost}))


def _build_case(fleet: Fleet, facts: FleetFacts, test: FleetTest) -> _FleetTestCase:
    changed_fleet = apply_scenario(fleet, Scenario(removed_services=test.without, replicas=test.scale))
    live_state, placement = converged_world(changed_fleet, desired_instances(changed_fleet, facts))
    case = _FleetTestCase(
        test=test, fleet=changed_fleet, facts=facts, live_state=live_state, placement=placement, host_losses=(_NO_LOSS,)
    )
    return replace(case, host_losses=case.expand_loss(test.lose)) if test.lose else case


def _check_healthy(case: _FleetTestCase) -> Iterator[Finding]:
    for selector, share in case.test.healthy.items():
        selection = parse_selector(selector)
        for name, service in sorted(case.fleet.services.items()):
            # A job is done, not healthy; who means it names it.
            if (
                selection.matches_service(name, service.labels)
                and service.replicas
                and (service.kind != "job" or name == selector)
            ):
                yield from _check_healthy_count(case, selector, service, share)


def _check_healthy_count(case: _FleetTestCase, selector: str, service: Service, share: Share) -> Iterator[Finding]:
    required = share.of(service.replicas, round_up=True)
    hosts = Counter(
        live.host for survey in _surveys(case.live_state) for live in survey.instances if live.service == service.name
    )
    total = sum(hosts.values())
    healthy_counts = [
        (host_loss, total - sum(hosts[host] for host in host_loss.hosts)) for host_loss in case.host_losses
    ]
    insufficient = [(host_loss, count) for host_loss, count in healthy_counts if count < required]
    if insufficient:
        host_loss, count = min(insufficient, key=lambda entry: entry[1])
        requirement = f"{required} {_verb(required)} wanted"
        text = f"{service.name} has {count} of {service.replicas} healthy{_loss_phrase(host_loss)}, and {requirement}"
        yield Finding(
            path=(*case.path, "healthy", selector),
            code="too-few-healthy",
            summary=text,
            detail=_other_losses_detail([entry for entry, _ in insufficient if entry is not host_loss]),
            hint=_more_replicas_hint(case, service, total),
        )


def _more_replicas_hint(case: _FleetTestCase, service: Service, total: int) -> str:
    if total < service.replicas:
        unplaced = [
            shortfall.finding.summary
            for shortfall in case.placement.shortfalls
            if InstanceName(shortfall.instance).service == service.name
        ]
        return f"{service.replicas - total} of them find no host: {unplaced[0]}" if unplaced else ""
    if service.replicas == 1:
        return f"give {service.name} another replica, on a host of its own"
    spread_label = case.test.lose.any if case.test.lose and case.test.lose.any else "host"
    spread = f", or `spread: {spread_label}`" if service.placement.spread != spread_label else ""
    return f"give {service.name} more replicas{spread}, or more hosts to stand on"


def _check_fits(case: _FleetTestCase) -> Iterator[Finding]:
    failed: list[tuple[FailureScenario, str]] = []
    for host_loss in case.host_losses if case.test.fits else ():
        unplaced, reason = _unplaced_after(case, host_loss)
        if unplaced:
            verb = "finds" if len(unplaced) == 1 else "find"
            text = f"{join_names(unplaced, limit=4)} {verb} no host{_loss_phrase(host_loss)}: {reason}"
            failed.append((host_loss, text))
    if failed:
        host_loss, text = failed[0]
        detail = _other_losses_detail([other_loss for other_loss, _ in failed[1:]])
        yield Finding(path=(*case.path, "fits"), code="does-not-fit", summary=text, detail=detail)


def _unplaced_after(case: _FleetTestCase, host_loss: FailureScenario) -> tuple[tuple[str, ...], str]:
    result: Placement | Prediction = case.placement
    if host_loss.hosts:
        result = predict(case.fleet, case.facts, {}, case.live_state, Scenario(lost_hosts=host_loss.hosts))
    return result.unplaced, result.shortfalls[0].finding.summary if result.shortfalls else ""


def _check_apart(case: _FleetTestCase) -> Iterator[Finding]:
    if not case.test.apart:
        return
    host_losses = (_NO_LOSS, *(case.host_losses if case.test.lose else case.expand_loss(_ANY_HOST)))
    failed = [(host_loss, colocated) for host_loss in host_losses if (colocated := _shared_host(case, host_loss))]
    if failed:
        host_loss, (first, second, host) = failed[0]
        names = (InstanceName(first).service, InstanceName(second).service)
        yield Finding(
            path=(*case.path, "apart", case.test.apart.index(names[1])),
            code="not-apart",
            summary=f"{first} and {second} share {host}{_loss_phrase(host_loss)}",
            detail=_other_losses_detail([other_loss for other_loss, _ in failed[1:]]),
            hint=f"`placement: {{apart_from: [{names[1]}]}}` at {names[0]} keeps them apart",
        )


def _shared_host(case: _FleetTestCase, host_loss: FailureScenario) -> tuple[str, str, str] | None:
    """Two instances of services that are to be apart, on one host."""
    host_by_instance = case.placement.hosts
    if host_loss.hosts:
        host_by_instance = predict(
            case.fleet, case.facts, {}, case.live_state, Scenario(lost_hosts=host_loss.hosts)
        ).hosts
    by_host: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name, host in sorted(host_by_instance.items()):
        service = InstanceName(name).service
        if service in case.test.apart:
            by_host[host].setdefault(service, name)
    shared = (
        (host, names_by_service) for host, names_by_service in sorted(by_host.items()) if len(names_by_service) > 1
    )
    for host, names_by_service in shared:
        first, second = sorted(names_by_service, key=case.test.apart.index)[:2]
        return names_by_service[first], names_by_service[second], host
    return None


def _check_destroys(case: _FleetTestCase) -> Iterator[Finding]:
    for index, name in enumerate(case.test.no_plan_destroys):
        service = case.fleet.services.get(name)
        path = (*case.path, "no_plan_destroys", index)
        destroying_edit = next(
            (
                edit
                for edit, edited_fleet, options in _destructive_edits(case.fleet, name)
                if _destroys_without_refusal(case, name, edited_fleet, options)
            ),
            "",
        )
        if service is None or destroying_edit:
            text = f"a plan in which {destroying_edit or f'{name} is gone'} destroys {name}, and nothing bars it"
            yield Finding(path=path, code="may-be-destroyed", summary=text, hint=f"give {name} `protect: true`")
        elif emptied_volumes := [
            volume for volume in service.volumes.values() if case.fleet.volumes[volume].accept_loss
        ]:
            text = (
                f"when its host is declared lost, a plan begins {name} anew, with {join_names(emptied_volumes)} empty"
            )
            yield Finding(
                path=path,
                code="may-begin-empty",
                summary=text,
                hint=f"take `accept_loss` off {join_names(emptied_volumes)}",
            )


def _destructive_edits(fleet: Fleet, name: str) -> Iterator[tuple[str, Fleet, PlanOptions]]:
    """Whatever may be asked for that takes instances of a service away, in words, and as a fleet."""
    service = fleet.services.get(name)
    if service is None:
        return
    default_options = PlanOptions()
    yield (
        f"{name} is taken out of the fleet file",
        apply_scenario(fleet, Scenario(removed_services=(name,))),
        default_options,
    )
    for count in sorted({max(0, service.replicas - 1), 0}, reverse=True):
        if count < service.replicas:
            yield (
                f"{name} is scaled to {count}",
                apply_scenario(fleet, Scenario(replicas={name: count})),
                default_options,
            )
    for host in sorted(fleet.hosts):
        drained_fleet = replace(fleet, hosts={**fleet.hosts, host: replace(fleet.hosts[host], drain=True)})
        yield f"{host} is drained", drained_fleet, default_options
    yield "the whole fleet is destroyed", fleet, PlanOptions(destroy=True)


def _destroys_without_refusal(case: _FleetTestCase, name: str, edited_fleet: Fleet, options: PlanOptions) -> bool:
    """Whether the plan takes an instance of ``name`` away for good, and is not refused."""
    context = build_context(
        edited_fleet,
        case.facts,
        {},
        case.live_state,
        desired=desired_instances(edited_fleet, case.facts),
        options=options,
    )
    changes = [
        change
        for instance_change in reconcile(context, resolve_scope(context), locating=False).instance_changes
        for change in (instance_change.change, *instance_change.other_generations)
    ]
    if not any(InstanceName(entry).service == name for entry in budget.destroyed_instances(changes)):
        return False
    findings = (
        *protection.find_protected(context, changes),
        *budget.find_violations(context, changes, Revision(clean=True), whole=True),
    )
    return not any(entry.severity is Severity.ERROR for entry in findings)


def _surveys(live_state: LiveState) -> Iterable[Survey]:
    return (survey for survey in live_state.values() if isinstance(survey, Survey))


def _loss_phrase(host_loss: FailureScenario) -> str:
    is_plural = " and " in host_loss.description or ", " in host_loss.description
    return f" when {host_loss.description} {'are' if is_plural else 'is'} lost" if host_loss.hosts else ""


def _other_losses_detail(host_losses: list[FailureScenario]) -> str:
    """The other ways in which it fails, where there are any."""
    names = [host_loss.description for host_loss in host_losses if host_loss.description]
    return (
        f"the same holds of {', '.join(names[:6])}{f' and {len(names) - 6} more' if len(names) > 6 else ''}"
        if names
        else ""
    )


def _verb(number: int) -> str:
    return "is" if number == 1 else "are"
