"""Prepare a fleet: resolve images and endpoint numbers, and find the revision of its files.

Reading the files needs few imports; the others are loaded while the hosts are being reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unictl.diagnostics.diagnostic import errors
from unictl.diagnostics.failure import InvalidFleet
from unictl.diagnostics.finding import Findings
from unictl.diagnostics.resolve import resolve_findings
from unictl.fleet.model import Fleet
from unictl.operations.planning import fleet_files, fleet_lock
from unictl.operations.request import FleetRequest
from unictl.plan.model.revision import Revision

if TYPE_CHECKING:
    from unictl.images.lock_file import FactsByImage
    from unictl.images.resolver import Fetcher


def prepare_fleet(
    request: FleetRequest, fetch: Fetcher | None = None, *, renumber: bool = False
) -> fleet_files.PreparedFleet:
    """Everything up to the hosts; InvalidFleet with all problems of the files, the images and the lock.

    ``fetch``: what gets the bytes of a URL that the lock does not know yet; without it such an image is a problem.
    ``renumber``: an endpoint that has the number of another gets one of its own, instead of being a problem.
    """
    files = fleet_files.read_files(request)
    return resolve_fleet(files, fleet_files.require_fleet(files), request, fetch, renumber=renumber)


def resolve_fleet(
    files: fleet_files.FleetFiles,
    fleet: Fleet,
    request: FleetRequest,
    fetch: Fetcher | None = None,
    *,
    renumber: bool = False,
) -> fleet_files.PreparedFleet:
    """What ``prepare_fleet`` does once the files are read."""
    from unictl.images import lock_file
    from unictl.images.resolver import resolve_images

    lock = fleet_lock.read_lock(files.tree)
    locked = request.locked or bool(request.at)
    resolved = resolve_images(fleet, files.tree, lock, locked=locked, fetch=fetch)
    # What a template says wrong is found once for every service that extends it.
    problems = tuple(
        dict.fromkeys(
            resolve_findings(
                (*resolved.problems, *_preflight_findings(fleet, resolved.facts)),
                files.loaded.places,
                files.loaded.sources,
            )
        )
    )
    problems += () if renumber else fleet_lock.shared_number_problems(files, fleet, lock)
    if errors(problems):
        raise InvalidFleet(fleet_files.count_problems(problems), problems=problems)
    endpoints = lock_file.assign_endpoint_numbers(lock.endpoints, lock_file.endpoint_ranges(fleet))
    new_numbers = fleet_lock.renumbered_endpoints(lock.endpoints, endpoints)
    if new_numbers and locked:
        raise InvalidFleet(
            f"{lock_file.FILE_NAME} is incomplete, it lacks: " + ", ".join(new_numbers),
            hint="run `unictl lock` and commit fleet.lock",
        )
    return fleet_files.PreparedFleet(
        files=files,
        fleet=fleet,
        facts=resolved.facts,
        endpoints=endpoints,
        sources=resolved.sources,
        lock=lock_file.LockFile(images=resolved.facts, origins=resolved.origins, endpoints=endpoints),
        lock_changes=(*resolved.changes, *new_numbers),
        lock_additions=resolved.new_origins,
    )


def fleet_revision(prepared: fleet_files.PreparedFleet) -> Revision:
    """The revision of the fleet's files; asks git only where there is a repository."""
    if prepared.files.revision.commit:
        return prepared.files.revision
    from unictl.images.lock_file import FILE_NAME
    from unictl.revisions.repository import read_revision

    files = (*prepared.files.loaded.files, *prepared.sources.values(), FILE_NAME)
    commit, clean, subject = read_revision(prepared.files.folder, files)
    return Revision(commit=commit, clean=clean, subject=subject)


def _preflight_findings(fleet: Fleet, facts: FactsByImage) -> Findings:
    """What guests and hypervisors refuse, and what is not there yet; a place that is not supported says only that."""
    from unictl.instances.launch.preflight import check_features, check_launches

    unsupported_findings = check_features(fleet)
    unsupported_paths = {finding.path for finding in unsupported_findings}
    launch_findings = (finding for finding in check_launches(fleet, facts) if finding.path not in unsupported_paths)
    return (*launch_findings, *unsupported_findings)
