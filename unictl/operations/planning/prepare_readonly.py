"""Prepare a fleet for reading or destroying it: needs no images and writes no lock file.

The lock file is used if there is one; nothing is written, numbered or fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unictl.diagnostics.failure import InvalidFleet
from unictl.guests.image_facts import ImageFacts
from unictl.images import lock_file
from unictl.instances.desired.spec import file_key
from unictl.operations.planning.fleet_files import PreparedFleet, read_files, require_fleet
from unictl.operations.planning.fleet_lock import read_pinned

if TYPE_CHECKING:
    from unictl.fleet.model import Fleet
    from unictl.images.lock_file import FactsByImage, LockFile
    from unictl.operations.planning.fleet_files import FleetFiles
    from unictl.operations.request import FleetRequest


def prepare_readonly(request: FleetRequest) -> PreparedFleet:
    """The fleet of ``request`` as it stands; a lock that cannot be read is none. InvalidFleet for its files alone."""
    files = read_files(request)
    return prepare_destroy(files, require_fleet(files), is_whole=True)


def prepare_destroy(files: FleetFiles, fleet: Fleet, *, is_whole: bool) -> PreparedFleet:
    """What taking down needs of a fleet.

    Of one that stays in part (not ``is_whole``) the ingress is written anew, so its endpoint numbers have to be known:
    InvalidFleet where the lock lacks one.
    """
    lock = _read_lock(files, is_whole=is_whole)
    names = {name for name, *_ in lock_file.endpoint_ranges(fleet)}
    missing_endpoints = () if is_whole else sorted(names - lock.endpoints.keys())
    if missing_endpoints:
        missing_text = ", ".join(missing_endpoints)
        verb = "listens" if len(missing_endpoints) == 1 else "listen"
        raise InvalidFleet(
            f"{lock_file.FILE_NAME} does not say where {missing_text} {verb}, and what stays is to listen on",
            hint=f"take {lock_file.FILE_NAME} from git again, or destroy all of the fleet, which needs none",
        )
    return PreparedFleet(
        files=files,
        fleet=fleet,
        facts=facts_from_lock(fleet, lock.images),
        endpoints={name: number for name, number in sorted(lock.endpoints.items()) if name in names},
        sources={},
        lock=lock,
        lock_changes=(),
        lock_additions=(),
    )


def _read_lock(files: FleetFiles, *, is_whole: bool) -> LockFile:
    try:
        return read_pinned(files)
    except InvalidFleet:
        if is_whole:
            return lock_file.LockFile()
        raise


def facts_from_lock(fleet: Fleet, locked_facts: FactsByImage) -> FactsByImage:
    """What the lock says of the images; of those that it lacks, nothing: no image is read, none is fetched."""
    files = {file.source for service in fleet.services.values() for file in service.files if file.source}
    placeholders = {file_key(source): {"content": ImageFacts(sha256=source, size=0)} for source in sorted(files)}
    return {**{name: locked_facts.get(name, {}) for name in fleet.images}, **placeholders}
