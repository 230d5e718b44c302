"""Make a plan, save it, open a saved one.

Everything that needs no host is done while the hosts are being reached: ssh takes most of the time of a plan.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from errno import EISDIR
from pathlib import Path
from typing import TYPE_CHECKING

from unictl.diagnostics.diagnostic import Problems, Severity
from unictl.diagnostics.failure import Failure, InvalidFleet, UsageFailure
from unictl.execution import queries
from unictl.fleet.model import Fleet
from unictl.hosts.connector import connect
from unictl.instances.observed.host_state import Survey, World
from unictl.operations.planning.prepare import Read, Settled, declared, finish, read, revision, source_of, write_lock
from unictl.operations.request import FleetRequest

if TYPE_CHECKING:
    from unictl.images.local_store import Store
    from unictl.plan.estimates.image_sources import AtHand
    from unictl.plan.model.options import PlanOptions
    from unictl.plan.model.plan import Plan
    from unictl.plan.model.revision import Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """All that a plan needs of this machine. ``wished``: instance name -> fingerprint."""

    settled: Settled
    store: Store
    revision: Revision
    at_hand: AtHand
    wished: Mapping[str, str]


def plan(request: FleetRequest, options: PlanOptions) -> Plan:
    """The plan of a fleet against its hosts; Failures where there can be none. Writes what ``fleet.lock`` lacks."""
    gc.disable()
    try:
        return _plan(request, options)
    finally:
        gc.enable()


def _plan(request: FleetRequest, options: PlanOptions) -> Plan:
    found = read(request)
    fleet = declared(found)
    ready: list[_Ready] = []

    def wished() -> Mapping[str, str]:
        ready.append(_prepared(found, fleet, request, options))
        return ready[0].wished

    world = queries.world(fleet, connect, wished)
    options = replace(options, deleted=_deleted(fleet, world, options))
    made = _warned(_built(ready[0], world, options), request.process_environment)
    return replace(made, refusals=_quoted(made.refusals, found), warnings=_quoted(made.warnings, found))


def _deleted(fleet: Fleet, world: World, options: PlanOptions) -> tuple[str, ...]:
    """The volumes to delete that no host has, and that an earlier apply was told to delete: the ledgers are asked only
    for those that nobody knows."""
    there = {volume.name for said in world.values() if isinstance(said, Survey) for volume in said.volumes}
    absent = set(options.allow_volumes) - there
    if not absent:
        return ()
    named = {word for row in queries.ledgers(fleet, connect) for word in row.get("overrides", ())}
    return tuple(sorted(name for name in absent if f"volume:{name}" in named))


def _warned(made: Plan, environment: Mapping[str, str]) -> Plan:
    """The plan, with what it takes for granted since it cannot be read here."""
    if not made.secrets:
        return made
    from unictl.operations.planning.plan_secrets import told, values

    unread = values(made, environment).unread
    more = "; the plan takes it to be unchanged, an apply needs it"
    return replace(made, warnings=(*made.warnings, *told(made, unread, Severity.WARNING, more)))


def _prepared(found: Read, fleet: Fleet, request: FleetRequest, options: PlanOptions) -> _Ready:
    from unictl.images.local_store import Store, place
    from unictl.instances.desired.instance import fingerprints, wish
    from unictl.operations.planning import image_transfer
    from unictl.plan import planner as _  # noqa: F401 - loaded now, needed when the hosts have answered

    store = Store(place(request.process_environment))
    if options.destroy:
        from unictl.operations.planning.prepare_readonly import going

        settled = going(found, fleet, whole=not (options.target or options.exclude))
    else:
        settled = finish(found, fleet, request, fetch=image_transfer.fetcher(store))
    if settled.relocked and not (request.locked or request.at):
        write_lock(settled)
    return _Ready(
        settled=settled,
        store=store,
        revision=revision(settled),
        at_hand=image_transfer.at_hand(settled, store),
        wished=fingerprints(wish(settled.fleet, settled.facts)),
    )


def _built(ready: _Ready, world: World, options: PlanOptions) -> Plan:
    from unictl.operations.planning import image_transfer
    from unictl.operations.planning.ingress_diff import explained
    from unictl.plan.planner import build

    settled = ready.settled
    try:
        made = build(
            settled.fleet,
            settled.facts,
            settled.endpoints,
            world,
            revision=ready.revision,
            options=options,
            places=settled.read.loaded.places,
            at_hand=ready.at_hand,
        )
    except ValueError as error:
        # A selector that cannot be read; everything else a plan has to say is in the plan.
        raise UsageFailure(str(error)) from None
    made = explained(made, settled.fleet, world)
    image_transfer.keep(made, settled, ready.store)
    return replace(made, facts={**made.facts, **_display(settled, made), "reached": _reached(world)})


def _quoted(problems: Problems, found: Read) -> Problems:
    """The problems with the lines that they are about."""
    return tuple(replace(each, source=source_of(each.place, found.texts)) for each in problems)


def _display(settled: Settled, made: Plan) -> dict[str, object]:
    """What a person is shown or an apply of a saved plan needs to find again; in no hash."""
    places = settled.read.loaded.places
    origins = {change.origin for change in made.changes if change.origin}
    origins |= {("secrets", name) for name in made.secrets}
    shown = {origin: origin for origin in origins}
    for origin in origins:
        while shown[origin] and shown[origin] not in places:
            shown[origin] = shown[origin][:-1]
    return {
        "places": {_dotted(origin): str(places[near]) for origin, near in sorted(shown.items(), key=str) if near},
        "folder": str(settled.read.folder.resolve()),
        "relocked": list(settled.relocked),
        "secrets": {
            name: {"env": secret.env, "file": secret.file} for name, secret in sorted(settled.fleet.secrets.items())
        },
    }


def _reached(world: World) -> dict[str, dict[str, int]]:
    """What asking each host took."""
    return {
        host: {"round_trips": said.round_trips, "took_ms": round(said.took * 1000)}
        for host, said in sorted(world.items())
        if isinstance(said, Survey)
    }


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in path)


def is_planfile(path: Path) -> bool:
    """Whether ``path`` is a saved plan rather than a fleet."""
    return path.is_file() and path.suffix not in (".yaml", ".yml")


def save(made: Plan, path: Path) -> None:
    """Writes a plan, readable by its owner only; whole or not at all."""
    from unictl.plan.file import planfile

    write(path, planfile.dump(made))


def write(path: Path, text: str) -> None:
    """Writes what shows a plan, readable by its owner only; whole or not at all."""
    if path.is_dir():
        raise Failure(f"the plan cannot be saved to {path}: {os.strerror(EISDIR)}", hint="name a file in it")
    aside = path.with_name(path.name + ".new")
    try:
        aside.write_text(text)
        aside.chmod(0o600)
        aside.replace(path)
    except OSError as error:
        raise Failure(f"the plan cannot be saved to {path}: {error.strerror}") from None


def open_plan(path: Path) -> Plan:
    """A plan that ``save`` wrote; InvalidFleet where the file is none."""
    from unictl.plan.file import planfile

    try:
        made = planfile.load(path.read_text())
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidFleet(f"{path} is no saved plan: it is no text", hint="unictl plan -out FILE writes one") from None
    # What was written into the lock when it was made was told then.
    return replace(made, facts={key: value for key, value in made.facts.items() if key != "relocked"})
