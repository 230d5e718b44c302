"""Write `fleet.lock`."""

from dataclasses import dataclass, replace
from pathlib import Path

from unictl.images.local_store import Store, place
from unictl.operations.planning.image_transfer import fetcher
from unictl.operations.planning.prepare import settle, write_lock
from unictl.operations.request import FleetRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class LockResult:
    """What changed in the lock file, in words, and where it lies."""

    changed: tuple[str, ...]
    path: Path


def lock(request: FleetRequest) -> LockResult:
    """Pins the digests of the images as they are now, and a number of its own for every endpoint."""
    fetch = fetcher(Store(place(request.process_environment)))
    settled = settle(replace(request, locked=False), fetch=fetch, renumber=True)
    return LockResult(changed=(*settled.relocked, *settled.learned), path=write_lock(settled))
