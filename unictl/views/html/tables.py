"""The tables of the page: waves, endpoints, and memory used on each host. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from unictl.fleet.quantities import memory_text
from unictl.plan.model.change import Action
from unictl.plan.model.plan import Plan
from unictl.views.html.elements import Html, element, section, table
from unictl.views.text import rollout
from unictl.views.text.fold import natural
from unictl.views.text.layout import counted


def waves(plan: Plan) -> Html:
    """The waves of every service, each with what takes it back."""
    by_service: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for wave in plan.waves:
        by_service[str(wave["service"])].append(wave)
    cells = [
        element("tr", element("th", name, scope="row"), element("td", *map(_wave, waves)))
        for name, waves in sorted(by_service.items(), key=lambda item: natural(item[0]))
    ]
    if not cells:
        return Html("")
    note = (
        "each begins when the one before it is healthy; when one fails, it is taken back, and the rest does not begin"
    )
    return section("Waves", note, table(("service", "waves"), cells))


def _wave(wave: Mapping[str, Any]) -> Html:
    names = list(map(str, wave["instances"]))
    undo = wave.get("undo", {})
    told = f"{counted(len(names), 'instance')}{', canary' if wave.get('canary') else ''}"
    back = str(undo.get("line", "")).rstrip(".")
    return element(
        "details",
        element("summary", f"{wave['wave']}: {told}"),
        element("p", ", ".join(names)),
        element("p", f"If it fails: {back}.") if back else None,
        class_="wave",
    )


def listens(plan: Plan) -> Html:
    """What listens where, the published ones first."""
    ordered = sorted(plan.endpoints, key=lambda each: (each.kind == "endpoint", natural(each.service), each.number))
    lines = [
        element(
            "tr",
            element(
                "th",
                f"{each.service}.{each.port}",
                element("small", "published") if each.kind != "endpoint" else None,
                scope="row",
            ),
            element("td", f"{each.address or '*'}:{each.number}"),
            element("td", ", ".join(each.hosts)),
        )
        for each in ordered
    ]
    if not lines:
        return Html("")
    return section("Listens", "once this is applied", table(("service", "address", "on"), lines))


def capacity(plan: Plan) -> Html:
    """What the plan takes and gives back, by host, and what is left there at the tightest moment between."""
    starts: defaultdict[str, list[int]] = defaultdict(list)
    ends: defaultdict[str, list[int]] = defaultdict(list)
    for each in plan.changes:
        if each.new and each.action in (Action.CREATE, Action.REPLACE, Action.MOVE):
            starts[each.new.host].append(each.new.wished.memory + each.new.wished.overhead)
        if each.old and each.action in (Action.DESTROY, Action.REPLACE, Action.MOVE):
            ends[each.old.host].append(each.old.memory + each.old.overhead)
    lines = [
        element(
            "tr",
            element("th", host, scope="row"),
            element("td", _amount(starts[host])),
            element("td", _amount(ends[host])),
            element("td", rollout.free(plan.tightest[host]) if host in plan.tightest else ""),
        )
        for host in sorted({*starts, *ends, *plan.tightest}, key=natural)
    ]
    if not lines:
        return Html("")
    note = "memory of guests and their hypervisors; free: at the tightest moment, old and new both there"
    return section("Capacity", note, table(("host", "starts", "ends", "free"), lines))


def _amount(sizes: list[int]) -> str:
    return f"{counted(len(sizes), 'instance')}, {memory_text(sum(sizes))}" if sizes else "none"
