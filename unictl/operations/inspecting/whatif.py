"""Predictions: `whatif` against the hosts or the files alone, and the tests of a fleet."""

from collections.abc import Mapping
from dataclasses import dataclass

from unictl.declaration.load import Loaded
from unictl.diagnostics.diagnostic import Problems
from unictl.diagnostics.failure import InvalidFleet, UsageFailure
from unictl.fleet.model import Fleet
from unictl.fleet.names import listed
from unictl.fleet.selection import selected_hosts
from unictl.instances.desired.instance import fingerprints, wish
from unictl.operations.planning.prepare import diagnose, pinned, read, settle
from unictl.operations.planning.prepare_readonly import by_lock
from unictl.operations.request import FleetRequest
from unictl.plan.whatif.assumed_world import assumed, undeclared
from unictl.plan.whatif.fleet_tests import Judged, judge
from unictl.plan.whatif.whatif import Answer, Question, whatif


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """An answer, and in a sentence what it rests on."""

    answer: Answer
    basis: str


def suppose(
    request: FleetRequest, lose: tuple[str, ...], without: tuple[str, ...], scale: Mapping[str, int], *, assume: bool
) -> Supposed:
    """What if: against the hosts, or with ``assume`` by the fleet's files alone.

    ``lose`` are selectors of hosts. UsageFailure where something is named that the fleet does not have.
    """
    try:
        if assume:
            return _assumed(request, lose, without, scale)
        return _asked(request, lose, without, scale)
    except ValueError as error:
        raise UsageFailure(str(error)) from None


def _assumed(
    request: FleetRequest, lose: tuple[str, ...], without: tuple[str, ...], scale: Mapping[str, int]
) -> Supposed:
    found = read(request)
    fleet = _fleet(found.loaded)
    facts = by_lock(fleet, pinned(found).images)
    world, _ = assumed(fleet, wish(fleet, facts))
    answer = whatif(fleet, facts, {}, world, _question(fleet, lose, without, scale))
    basis = "By the fleet file alone: every instance is where it would be placed, and no host was asked."
    return Supposed(answer=answer, basis=f"{basis}{_ample(fleet)}")


def _asked(
    request: FleetRequest, lose: tuple[str, ...], without: tuple[str, ...], scale: Mapping[str, int]
) -> Supposed:
    # Only here: what reads files alone must not pay for the event loop.
    from unictl.execution import queries
    from unictl.hosts.connector import connect

    settled = settle(request)
    fleet = settled.fleet
    question = _question(fleet, lose, without, scale)
    world = queries.world(fleet, connect, fingerprints(wish(fleet, settled.facts)))
    answer = whatif(fleet, settled.facts, settled.endpoints, world, question)
    differs = " Some of it differs from the fleet file: unictl plan shows that." if answer.pending else ""
    return Supposed(answer=answer, basis=f"By what runs on the hosts now.{differs}")


def _question(fleet: Fleet, lose: tuple[str, ...], without: tuple[str, ...], scale: Mapping[str, int]) -> Question:
    names: dict[str, None] = {}
    for selector in lose:
        hosts = [host.name for host in selected_hosts(selector, fleet.hosts.values())]
        # A name that is none is told by the question, with what may have been meant.
        names |= dict.fromkeys(hosts or [selector])
    return Question(lose=tuple(names), without=without, scale=scale)


def _ample(fleet: Fleet) -> str:
    names = undeclared(fleet)
    if not names:
        return ""
    return f" {listed(names, most=4)} declare{'s' if len(names) == 1 else ''} no memory: room there is assumed."


def test(request: FleetRequest) -> tuple[str, tuple[tuple[Judged, Problems], ...]]:
    """The fleet's mark, and every test with what speaks against it. Reads files only, and connects nowhere."""
    found = read(request)
    fleet = _fleet(found.loaded)
    return fleet.mark, tuple(
        (each, diagnose(each.failures, found)) for each in judge(fleet, by_lock(fleet, pinned(found).images))
    )


def _fleet(loaded: Loaded) -> Fleet:
    if loaded.fleet is None:
        raise InvalidFleet("the fleet's files have problems", problems=loaded.problems)
    return loaded.fleet
