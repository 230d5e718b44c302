"""A fleet as it stands: looked at or taken down, with nothing booted from it. It needs neither images nor a lock.

What the lock says is used where it is there; nothing is written, nothing is numbered or fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from unictl.diagnostics.failure import InvalidFleet
from unictl.guests.facts import ImageFacts
from unictl.images import lock as lockfile
from unictl.instances.spec import file_key
from unictl.operations.settle import Settled, declared, pinned, read

if TYPE_CHECKING:
    from unictl.fleet.model import Fleet
    from unictl.images.lock import Facts, Lock
    from unictl.operations.request import FleetRequest
    from unictl.operations.settle import Read


def standing(request: FleetRequest) -> Settled:
    """The fleet of ``request`` as it stands; a lock that cannot be read is none. InvalidFleet for its files alone."""
    found = read(request)
    return going(found, declared(found), whole=True)


def going(found: Read, fleet: Fleet, *, whole: bool) -> Settled:
    """What taking down needs of a fleet. Of one that stays in part (not ``whole``) the ingress is written anew, so its
    endpoint numbers have to be known: InvalidFleet where the lock lacks one."""
    lock = _lock(found, whole=whole)
    names = {name for name, *_ in lockfile.ranges(fleet)}
    lacking = () if whole else sorted(names - lock.endpoints.keys())
    if lacking:
        raise InvalidFleet(
            f"{lockfile.NAME} does not say where {', '.join(lacking)} listen{'s' if len(lacking) == 1 else ''}, "
            "and what stays is to listen on",
            hint=f"take {lockfile.NAME} from git again, or destroy all of the fleet, which needs none",
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
            return lockfile.Lock()
        raise


def by_lock(fleet: Fleet, known: Facts) -> Facts:
    """What the lock says of the images; of those that it lacks, nothing: no image is read, none is fetched."""
    files = {file.source for service in fleet.services.values() for file in service.files if file.source}
    stand_ins = {file_key(source): {"content": ImageFacts(sha256=source, size=0)} for source in sorted(files)}
    return {**{name: known.get(name, {}) for name in fleet.images}, **stand_ins}
