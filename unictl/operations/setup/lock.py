"""Write `fleet.lock`."""

from dataclasses import dataclass, replace
from pathlib import Path

from unictl.images.local_store import LocalStore, default_store_directory
from unictl.operations.planning.fleet_lock import write_lock
from unictl.operations.planning.image_transfer import url_fetcher
from unictl.operations.planning.prepare import prepare_fleet
from unictl.operations.request import FleetRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class LockResult:
    """What changed in the lock file, in words, and where it lies."""

    changed: tuple[str, ...]
    path: Path


def pin_fleet(request: FleetRequest) -> LockResult:
    """Pins the digests of the images as they are now, and a number of its own for every endpoint."""
    fetch = url_fetcher(LocalStore(default_store_directory(request.process_environment)))
    prepared = prepare_fleet(replace(request, locked=False), fetch=fetch, renumber=True)
    return LockResult(changed=(*prepared.lock_changes, *prepared.lock_additions), path=write_lock(prepared))
