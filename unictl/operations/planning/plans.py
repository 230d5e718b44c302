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

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.failure import Failure, InvalidFleet, UsageFailure
from unictl.diagnostics.resolve import with_source_lines
from unictl.execution import queries
from unictl.fleet.model import Fleet
from unictl.hosts.connector import connect_host
from unictl.instances.observed.host_state import LiveState, Survey
from unictl.operations.planning.fleet_files import FleetFiles, PreparedFleet, read_files, require_fleet
from unictl.operations.planning.fleet_lock import write_lock
from unictl.operations.planning.prepare import fleet_revision, resolve_fleet
from unictl.operations.request import FleetRequest

if TYPE_CHECKING:
    from unictl.images.local_store import LocalStore
    from unictl.plan.estimates.image_sources import LocalFiles
    from unictl.plan.model.options import PlanOptions
    from unictl.plan.model.plan import Plan
    from unictl.plan.model.plan_facts import PlanFacts
    from unictl.plan.model.revision import Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class _LocalPreparation:
    """All that a plan needs of this machine. ``fingerprints``: instance name -> fingerprint."""

    prepared: PreparedFleet
    store: LocalStore
    revision: Revision
    available_images: LocalFiles
    fingerprints: Mapping[str, str]


def make_plan(request: FleetRequest, options: PlanOptions) -> Plan:
    """The plan of a fleet against its hosts; Failures where there can be none. Writes what ``fleet.lock`` lacks."""
    gc.disable()
    try:
        return _make_plan(request, options)
    finally:
        gc.enable()


def _make_plan(request: FleetRequest, options: PlanOptions) -> Plan:
    files = read_files(request)
    fleet = require_fleet(files)
    preparations: list[_LocalPreparation] = []

    def desired_fingerprints() -> Mapping[str, str]:
        preparations.append(_prepare_local(files, fleet, request, options))
        return preparations[0].fingerprints

    world = queries.live_state(fleet, connect_host, desired_fingerprints)
    options = replace(options, deleted=_already_deleted_volumes(fleet, world, options))
    new_plan = _with_secret_warnings(_build_plan(preparations[0], world, options), request.process_environment)
    return replace(
        new_plan,
        refusals=with_source_lines(new_plan.refusals, files.loaded.sources),
        warnings=with_source_lines(new_plan.warnings, files.loaded.sources),
    )


def _already_deleted_volumes(fleet: Fleet, world: LiveState, options: PlanOptions) -> tuple[str, ...]:
    """The volumes to delete that no host has, and that an earlier apply was told to delete: the ledgers are asked only
    for those that nobody knows."""
    existing_volumes = {
        volume.name
        for host_survey in world.values()
        if isinstance(host_survey, Survey)
        for volume in host_survey.volumes
    }
    absent = set(options.allow_volumes) - existing_volumes
    if not absent:
        return ()
    recorded_overrides = {
        override for entry in queries.ledger_entries(fleet, connect_host) for override in entry.overrides
    }
    return tuple(sorted(name for name in absent if f"volume:{name}" in recorded_overrides))


def _with_secret_warnings(new_plan: Plan, environment: Mapping[str, str]) -> Plan:
    """The plan, with what it takes for granted since it cannot be read here."""
    if not new_plan.secrets:
        return new_plan
    from unictl.operations.planning.plan_secrets import read_plan_secrets, unreadable_secrets

    unread = read_plan_secrets(new_plan, environment).unreadable
    suffix = "; the plan takes it to be unchanged, an apply needs it"
    return replace(
        new_plan, warnings=(*new_plan.warnings, *unreadable_secrets(new_plan, unread, Severity.WARNING, suffix))
    )


def _prepare_local(files: FleetFiles, fleet: Fleet, request: FleetRequest, options: PlanOptions) -> _LocalPreparation:
    from unictl.images.local_store import LocalStore, default_store_directory
    from unictl.instances.desired.instance import desired_instances, requested_fingerprints
    from unictl.operations.planning import image_transfer
    from unictl.plan import planner as _  # noqa: F401 - loaded now, needed when the hosts have answered

    store = LocalStore(default_store_directory(request.process_environment))
    if options.destroy:
        from unictl.operations.planning.prepare_readonly import prepare_destroy

        prepared = prepare_destroy(files, fleet, is_whole=not (options.target or options.exclude))
    else:
        prepared = resolve_fleet(files, fleet, request, fetch=image_transfer.url_fetcher(store))
    if prepared.lock_changes and not (request.locked or request.at):
        write_lock(prepared)
    return _LocalPreparation(
        prepared=prepared,
        store=store,
        revision=fleet_revision(prepared),
        available_images=image_transfer.available_images(prepared, store),
        fingerprints=requested_fingerprints(desired_instances(prepared.fleet, prepared.facts)),
    )


def _build_plan(local: _LocalPreparation, world: LiveState, options: PlanOptions) -> Plan:
    from unictl.operations.planning import image_transfer
    from unictl.operations.planning.ingress_diff import with_config_differences
    from unictl.plan.planner import build

    prepared = local.prepared
    try:
        new_plan = build(
            prepared.fleet,
            prepared.facts,
            prepared.endpoints,
            world,
            revision=local.revision,
            options=options,
            places=prepared.files.loaded.places,
            local_files=local.available_images,
        )
    except ValueError as error:
        # A selector that cannot be read; everything else a plan has to say is in the plan.
        raise UsageFailure(str(error)) from None
    new_plan = with_config_differences(new_plan, prepared.fleet, world)
    image_transfer.cache_images(new_plan, prepared, local.store)
    return replace(new_plan, facts=_with_local_facts(new_plan, prepared, world))


def _with_local_facts(new_plan: Plan, prepared: PreparedFleet, world: LiveState) -> PlanFacts:
    """The facts with what only this machine knows: where things are written, and what asking the hosts took."""
    from unictl.plan.model.plan_facts import QueryCost, SecretSource

    places = prepared.files.loaded.places
    origins = {change.origin for change in new_plan.changes if change.origin}
    origins |= {("secrets", name) for name in new_plan.secrets}
    nearest_places = {origin: places.nearest(origin) for origin in sorted(origins, key=str)}
    return replace(
        new_plan.facts,
        places={_dotted_path(origin): str(place) for origin, place in nearest_places.items() if place},
        folder=str(prepared.files.folder.resolve()),
        relocked=tuple(prepared.lock_changes),
        secrets={
            name: SecretSource(env=secret.env, file=secret.file)
            for name, secret in sorted(prepared.fleet.secrets.items())
        },
        reached={
            host: QueryCost(round_trips=host_survey.round_trips, took_ms=round(host_survey.took * 1000))
            for host, host_survey in sorted(world.items())
            if isinstance(host_survey, Survey)
        },
    )


def _dotted_path(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in path)


def is_planfile(path: Path) -> bool:
    """Whether ``path`` is a saved plan rather than a fleet."""
    return path.is_file() and path.suffix not in (".yaml", ".yml")


def save(saved_plan: Plan, path: Path) -> None:
    """Writes a plan, readable by its owner only; whole or not at all."""
    from unictl.plan.file import planfile

    write_private(path, planfile.dump(saved_plan))


def write_private(path: Path, text: str) -> None:
    """Writes what shows a plan, readable by its owner only; whole or not at all."""
    if path.is_dir():
        raise Failure(f"the plan cannot be saved to {path}: {os.strerror(EISDIR)}", hint="name a file in it")
    temporary_path = path.with_name(path.name + ".new")
    try:
        temporary_path.write_text(text)
        temporary_path.chmod(0o600)
        temporary_path.replace(path)
    except OSError as error:
        raise Failure(f"the plan cannot be saved to {path}: {error.strerror}") from None


def open_plan(path: Path) -> Plan:
    """A plan that ``save`` wrote; InvalidFleet where the file is none."""
    from unictl.plan.file import planfile

    try:
        saved_plan = planfile.load(path.read_text())
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidFleet(f"{path} is no saved plan: it is no text", hint="unictl plan -out FILE writes one") from None
    # What was written into the lock when it was made was told then.
    return replace(saved_plan, facts=replace(saved_plan.facts, relocked=()))
