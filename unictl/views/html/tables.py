"""The tables of the page: waves, endpoints, and memory used on each host. Pure."""

from collections import defaultdict

from unictl.fleet.quantities import format_memory
from unictl.plan.model.change import Action
from unictl.plan.model.plan import Plan
from unictl.plan.model.wave import WaveRecord
from unictl.views.html.elements import Html, element, section, table
from unictl.views.text import rollout
from unictl.views.text.layout import count_of
from unictl.views.text.sorting import natural_key


def waves_section(plan: Plan) -> Html:
    """The waves of every service, each with what takes it back."""
    by_service: defaultdict[str, list[WaveRecord]] = defaultdict(list)
    for wave in plan.waves:
        by_service[wave.service].append(wave)
    cells = [
        element("tr", element("th", name, scope="row"), element("td", *map(_wave_details, waves)))
        for name, waves in sorted(by_service.items(), key=lambda item: natural_key(item[0]))
    ]
    if not cells:
        return Html("")
    note = (
        "each begins when the one before it is healthy; when one fails, it is taken back, and the rest does not begin"
    )
    return section("Waves", note, table(("service", "waves"), cells))


def _wave_details(wave: WaveRecord) -> Html:
    summary_text = f"{count_of(len(wave.instances), 'instance')}{', canary' if wave.is_canary else ''}"
    rollback_text = wave.rollback.summary.rstrip(".")
    return element(
        "details",
        element("summary", f"{wave.number}: {summary_text}"),
        element("p", ", ".join(wave.instances)),
        element("p", f"If it fails: {rollback_text}.") if rollback_text else None,
        class_="wave",
    )


def endpoints_section(plan: Plan) -> Html:
    """What listens where, the published ones first."""
    ordered = sorted(
        plan.endpoints,
        key=lambda endpoint: (endpoint.kind == "endpoint", natural_key(endpoint.service), endpoint.number),
    )
    lines = [
        element(
            "tr",
            element(
                "th",
                f"{endpoint.service}.{endpoint.port}",
                element("small", "published") if endpoint.kind != "endpoint" else None,
                scope="row",
            ),
            element("td", f"{endpoint.address or '*'}:{endpoint.number}"),
            element("td", ", ".join(endpoint.hosts)),
        )
        for endpoint in ordered
    ]
    if not lines:
        return Html("")
    return section("Listens", "once this is applied", table(("service", "address", "on"), lines))


def capacity_section(plan: Plan) -> Html:
    """What the plan takes and gives back, by host, and what is left there at the tightest moment between."""
    starts: defaultdict[str, list[int]] = defaultdict(list)
    stops: defaultdict[str, list[int]] = defaultdict(list)
    for change in plan.changes:
        if change.new and change.action in (Action.CREATE, Action.REPLACE, Action.MOVE):
            starts[change.new.host].append(change.new.desired.memory + change.new.desired.overhead)
        if change.old and change.action in (Action.DESTROY, Action.REPLACE, Action.MOVE):
            stops[change.old.host].append(change.old.memory + change.old.overhead)
    lines = [
        element(
            "tr",
            element("th", host, scope="row"),
            element("td", _memory_text(starts[host])),
            element("td", _memory_text(stops[host])),
            element("td", rollout.free_memory(plan.headroom[host]) if host in plan.headroom else ""),
        )
        for host in sorted({*starts, *stops, *plan.headroom}, key=natural_key)
    ]
    if not lines:
        return Html("")
    note = "memory of guests and their hypervisors; free: at the tightest moment, old and new both there"
    return section("Capacity", note, table(("host", "starts", "ends", "free"), lines))


def _memory_text(sizes: list[int]) -> str:
    return f"{count_of(len(sizes), 'instance')}, {format_memory(sum(sizes))}" if sizes else "none"
