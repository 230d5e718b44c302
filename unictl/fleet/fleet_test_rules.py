"""Rules for the assertions under ``tests:``: every name they use exists, and they assert something. Pure."""

from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Path
from unictl.fleet.failure_scenarios import MOST, number, ways
from unictl.fleet.model import Expectation, Fleet
from unictl.fleet.names import there_are
from unictl.fleet.reference_rules import unknown_name
from unictl.fleet.selection import parse


def tests(fleet: Fleet) -> Iterator[Finding]:
    """Every test names what there is, supposes something that can happen, and expects something of it."""
    for test in fleet.tests.values():
        path: Path = ("tests", test.name)
        yield from _names(fleet, test, path)
        yield from _expects(test, path)
        yield from _loss(fleet, test, (*path, "lose"))


def _names(fleet: Fleet, test: Expectation, path: Path) -> Iterator[Finding]:
    for key in ("without", "apart", "no_plan_destroys"):
        for index, name in enumerate(getattr(test, key)):
            if name not in fleet.services:
                yield unknown_name((*path, key, index), "service", name, fleet.services)
    for name in test.scale:
        if name not in fleet.services:
            yield unknown_name((*path, "scale", name), "service", name, fleet.services)
    for selector in test.healthy:
        selection = parse(selector)
        if not any(selection.service(name, each.labels) for name, each in fleet.services.items()):
            text = f"{selector!r} selects no service"
            yield Finding(
                path=(*path, "healthy", selector), code="selects-nothing", text=text, about_key=True, among="services"
            )


def _expects(test: Expectation, path: Path) -> Iterator[Finding]:
    if not (test.healthy or test.fits or test.apart or test.no_plan_destroys):
        hint = 'Add `healthy: {"*": 1}`, `fits: true`, `apart: [...]` or `no_plan_destroys: [...]`.'
        text = f"the test {test.name!r} expects nothing"
        yield Finding(path=path, code="expects-nothing", text=text, hint=hint, about_key=True)
    if len(test.apart) == 1:
        text = "`apart` names one service, and it takes two to be apart"
        hint = "`spread: host` keeps the replicas of one service apart."
        yield Finding(path=(*path, "apart"), code="apart-of-one", text=text, hint=hint)


def _loss(fleet: Fleet, test: Expectation, path: Path) -> Iterator[Finding]:
    if test.lose is None:
        return
    count = number(test.lose, fleet.hosts)
    if count > MOST:
        text = f"there are {count} ways to lose that, and {MOST} are tried at most"
        yield Finding(path=path, code="too-many-ways", text=text, hint="Lose fewer at once.", among="hosts")
    elif not any(True for _ in ways(test.lose, fleet.hosts)):
        what = f"no host has the label {test.lose.any!r}" if test.lose.any else f"{test.lose.hosts!r} selects no host"
        hint = there_are(fleet.hosts)
        yield Finding(path=path, code="loses-nothing", text=what, hint=hint, among="hosts")
