"""Predictions: `whatif` against the hosts or the files alone, and the tests of a fleet."""

from collections.abc import Mapping
from dataclasses import dataclass

from unictl.declaration.load import LoadResult
from unictl.diagnostics.diagnostic import Problems
from unictl.diagnostics.failure import InvalidFleet, UsageFailure
from unictl.diagnostics.resolve import resolve_findings
from unictl.fleet.model import Fleet
from unictl.fleet.names import join_names
from unictl.fleet.selection import select_hosts
from unictl.instances.desired.instance import desired_instances, requested_fingerprints
from unictl.operations.planning.fleet_files import read_files
from unictl.operations.planning.fleet_lock import read_pinned
from unictl.operations.planning.prepare import prepare_fleet
from unictl.operations.planning.prepare_readonly import facts_from_lock
from unictl.operations.request import FleetRequest
from unictl.plan.whatif.assumed_world import converged_world, hosts_without_memory
from unictl.plan.whatif.fleet_tests import FleetTestResult, run_fleet_tests
from unictl.plan.whatif.whatif import Prediction, Scenario, predict


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """An answer, and in a sentence what it rests on."""

    prediction: Prediction
    basis: str


def predict_fleet(
    request: FleetRequest,
    lose: tuple[str, ...],
    without: tuple[str, ...],
    scale: Mapping[str, int],
    *,
    is_offline: bool,
) -> Forecast:
    """What if: against the hosts, or with ``is_offline`` by the fleet's files alone.

    ``lose`` are selectors of hosts. UsageFailure where something is named that the fleet does not have.
    """
    try:
        if is_offline:
            return _predict_offline(request, lose, without, scale)
        return _predict_from_hosts(request, lose, without, scale)
    except ValueError as error:
        raise UsageFailure(str(error)) from None


def _predict_offline(
    request: FleetRequest, lose: tuple[str, ...], without: tuple[str, ...], scale: Mapping[str, int]
) -> Forecast:
    files = read_files(request)
    fleet = _require_fleet(files.loaded)
    facts = facts_from_lock(fleet, read_pinned(files).images)
    world, _ = converged_world(fleet, desired_instances(fleet, facts))
    prediction = predict(fleet, facts, {}, world, _build_scenario(fleet, lose, without, scale))
    basis = "By the fleet file alone: every instance is where it would be placed, and no host was asked."
    return Forecast(prediction=prediction, basis=f"{basis}{_assumed_memory_note(fleet)}")


def _predict_from_hosts(
    request: FleetRequest, lose: tuple[str, ...], without: tuple[str, ...], scale: Mapping[str, int]
) -> Forecast:
    # Only here: what reads files alone must not pay for the event loop.
    from unictl.execution import queries
    from unictl.hosts.connector import connect_host

    prepared = prepare_fleet(request)
    fleet = prepared.fleet
    scenario = _build_scenario(fleet, lose, without, scale)
    world = queries.live_state(fleet, connect_host, requested_fingerprints(desired_instances(fleet, prepared.facts)))
    prediction = predict(fleet, prepared.facts, prepared.endpoints, world, scenario)
    differs = " Some of it differs from the fleet file: unictl plan shows that." if prediction.pending else ""
    return Forecast(prediction=prediction, basis=f"By what runs on the hosts now.{differs}")


def _build_scenario(
    fleet: Fleet, lose: tuple[str, ...], without: tuple[str, ...], scale: Mapping[str, int]
) -> Scenario:
    names: dict[str, None] = {}
    for selector in lose:
        hosts = [host.name for host in select_hosts(selector, fleet.hosts.values())]
        # A name that is none is told by the question, with what may have been meant.
        names |= dict.fromkeys(hosts or [selector])
    return Scenario(lost_hosts=tuple(names), removed_services=without, replicas=scale)


def _assumed_memory_note(fleet: Fleet) -> str:
    names = hosts_without_memory(fleet)
    if not names:
        return ""
    return f" {join_names(names, limit=4)} declare{'s' if len(names) == 1 else ''} no memory: room there is assumed."


def run_tests(request: FleetRequest) -> tuple[str, tuple[tuple[FleetTestResult, Problems], ...]]:
    """The fleet's mark, and every test with what speaks against it. Reads files only, and connects nowhere."""
    files = read_files(request)
    fleet = _require_fleet(files.loaded)
    return fleet.mark, tuple(
        (result, resolve_findings(result.failures, files.loaded.places, files.loaded.sources))
        for result in run_fleet_tests(fleet, facts_from_lock(fleet, read_pinned(files).images))
    )


def _require_fleet(loaded: LoadResult) -> Fleet:
    if loaded.fleet is None:
        raise InvalidFleet("the fleet's files have problems", problems=loaded.problems)
    return loaded.fleet
