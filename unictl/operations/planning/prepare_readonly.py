"""Prepare a fleet for reading or destroying it: needs no images and writes no lock file.

The lock file is used if there is one; nothing is written, numbered or fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unictl.diagnostics.failure import InvalidFleet
from unictl.guests.image_facts import ImageFacts
from unictl.images import lock_file
from unictl.instances.desired.spec import file_key
from unictl.operations.planning.prepare import Settled, declared, pinned, read

if TYPE_CHECKING:
    from unictl.fleet.model import Fleet
    from unictl.images.lock_file import Facts, Lock
    from unictl.operations.planning.prepare import Read
    from unictl.operations.request import FleetRequest


def standing(request: FleetRequest) -> Settled:
    """The fleet of ``request`` as it stands; a lock that cannot be read is none. InvalidFleet for its files alone."""
    found = read(request)
    return going(found, declared(found), whole=True)


def going(found: Read, fleet: Fleet, *, whole: bool) -> Settled:
    """What taking down needs of a fleet. Of one that stays in part (not ``whole``) the ingress is written anew, so its
    endpoint numbers have to be known: InvalidFleet where the lock lacks one."""
    lock = _lock(found, whole=whole)
    names = {name for name, *_ in lock_file.ranges(fleet)}
    lacking = () if whole else sorted(names - lock.endpoints.keys())
    if lacking:
        raise InvalidFleet(
            f"{lock_file.NAME} does not say where {', '.join(lacking)} listen{'s' if len(lacking) == 1 else ''}, "
            "and what stays is to listen on",
            hint=f"take {lock_file.NAME} from git again, or destroy all of the fleet, which needs none",
        )
    return Settled(
        read=found,
        fleet=fleet,
        facts=by_lock(fleet, lock.images),
        endpoints={name: number for name, number in sorted(lock.endpoints.items()) if name in names},
        sources={},
        lock=lock,
        relocked=(),
        learned=(),
    )


def _lock(found: Read, *, whole: bool) -> Lock:
    try:
        return pinned(found)
    except InvalidFleet:
        if whole:
            return lock_file.Lock()
        raise


def by_lock(fleet: Fleet, known: Facts) -> Facts:
    """What the lock says of the images; of those that it lacks, nothing: no image is read, none is fetched."""
    files = {file.source for service in fleet.services.values() for file in service.files if file.source}
    stand_ins = {file_key(source): {"content": ImageFacts(sha256=source, size=0)} for source in sorted(files)}
    return {**{name: known.get(name, {}) for name in fleet.images}, **stand_ins}
