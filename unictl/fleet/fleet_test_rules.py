"""Rules for the assertions under ``tests:``: every name they use exists, and they assert something. Pure."""

from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.failure_scenarios import MAX_SCENARIOS, count_scenarios, expand_scenarios
from unictl.fleet.model import Fleet, FleetTest
from unictl.fleet.names import describe_existing
from unictl.fleet.reference_rules import unknown_name
from unictl.fleet.selection import parse_selector


def check_tests(fleet: Fleet) -> Iterator[Finding]:
    """Every test names what there is, supposes something that can happen, and expects something of it."""
    for test in fleet.tests.values():
        path: DocumentPath = ("tests", test.name)
        yield from _check_names(fleet, test, path)
        yield from _check_assertions(test, path)
        yield from _check_scenario(fleet, test, (*path, "lose"))


def _check_names(fleet: Fleet, test: FleetTest, path: DocumentPath) -> Iterator[Finding]:
    for key in ("without", "apart", "no_plan_destroys"):
        for index, name in enumerate(getattr(test, key)):
            if name not in fleet.services:
                yield unknown_name((*path, key, index), "service", name, fleet.services)
    for name in test.scale:
        if name not in fleet.services:
            yield unknown_name((*path, "scale", name), "service", name, fleet.services)
    for selector in test.healthy:
        selection = parse_selector(selector)
        if not any(selection.matches_service(name, service.labels) for name, service in fleet.services.items()):
            text = f"{selector!r} selects no service"
            yield Finding(
                path=(*path, "healthy", selector),
                code="selects-nothing",
                summary=text,
                at_key=True,
                searched_section="services",
            )


def _check_assertions(test: FleetTest, path: DocumentPath) -> Iterator[Finding]:
    if not (test.healthy or test.fits or test.apart or test.no_plan_destroys):
        hint = 'Add `healthy: {"*": 1}`, `fits: true`, `apart: [...]` or `no_plan_destroys: [...]`.'
        text = f"the test {test.name!r} expects nothing"
        yield Finding(path=path, code="expects-nothing", summary=text, hint=hint, at_key=True)
    if len(test.apart) == 1:
        text = "`apart` names one service, and it takes two to be apart"
        hint = "`spread: host` keeps the replicas of one service apart."
        yield Finding(path=(*path, "apart"), code="apart-of-one", summary=text, hint=hint)


def _check_scenario(fleet: Fleet, test: FleetTest, path: DocumentPath) -> Iterator[Finding]:
    if test.lose is None:
        return
    count = count_scenarios(test.lose, fleet.hosts)
    if count > MAX_SCENARIOS:
        text = f"there are {count} ways to lose that, and {MAX_SCENARIOS} are tried at most"
        yield Finding(
            path=path, code="too-many-ways", summary=text, hint="Lose fewer at once.", searched_section="hosts"
        )
    elif not any(True for _ in expand_scenarios(test.lose, fleet.hosts)):
        summary = (
            f"no host has the label {test.lose.any!r}" if test.lose.any else f"{test.lose.hosts!r} selects no host"
        )
        hint = describe_existing(fleet.hosts)
        yield Finding(path=path, code="loses-nothing", summary=summary, hint=hint, searched_section="hosts")
