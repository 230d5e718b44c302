"""``fleet.lock``, the lock file: digest and facts of every image's files, and the endpoint numbers. Merged and
written.

Text in, text out: the caller reads and writes the file. The file is JSON with sorted keys, so that git merges and
shows it line by line. Two branches can merge without a conflict and still be wrong: two endpoints of one number.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from unictl.diagnostics.failure import InvalidFleet
from unictl.fleet.model import Fleet
from unictl.guests.image_facts import ImageFacts

FORMAT_VERSION = 1
FILE_NAME = "fleet.lock"

FactsByImage = Mapping[str, Mapping[str, ImageFacts]]
"""Image name -> part (``kernel``, ``initrd``, ``disk``) -> facts."""
OriginsByImage = Mapping[str, Mapping[str, str]]
"""Image name -> part -> the path in the fleet's folder or the URL that it was resolved from."""
EndpointRange = tuple[str, int, int]
"""``service.port``, and the first and last number it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFile:
    """What the lock file pins: facts of images and where they came from, and ``service.port`` -> endpoint number.

    ``origins`` lacks what an older unictl has locked.
    """

    images: FactsByImage = field(default_factory=dict)
    origins: OriginsByImage = field(default_factory=dict)
    endpoints: Mapping[str, int] = field(default_factory=dict)


def render_lock_file(lock: LockFile) -> str:
    """The text of the lock file."""
    images = {
        name: {part: facts.to_json() | _source_entry(lock, name, part) for part, facts in parts.items()}
        for name, parts in lock.images.items()
    }
    tree = {"format": FORMAT_VERSION, "images": images, "endpoints": dict(lock.endpoints)}
    return json.dumps(tree, indent=2, sort_keys=True) + "\n"


def _source_entry(lock: LockFile, name: str, part: str) -> dict[str, str]:
    origin = lock.origins.get(name, {}).get(part, "")
    return {"source": origin} if origin else {}


def endpoint_ranges(fleet: Fleet) -> list[EndpointRange]:
    """Every endpoint of a fleet, with the numbers that its network gives."""
    ranges_so_far: list[EndpointRange] = []
    for service in fleet.services.values():
        network = fleet.networks.get((*service.network, fleet.default_network)[0])
        span = network.endpoints if network else "20000-29999"
        first, dash, last = span.partition("-")
        if not dash:
            continue  # Addresses instead of numbers, which is not supported yet: told elsewhere.
        ranges_so_far += [(f"{service.name}.{port.name}", int(first), int(last)) for port in service.ports]
    return ranges_so_far


def assign_endpoint_numbers(pinned: Mapping[str, int], ranges: Iterable[EndpointRange]) -> dict[str, int]:
    """A number for every ``(service.port, first, last)``: the pinned one, else the lowest that is free.

    Nothing pinned is renumbered while it is used; numbers of ports that are gone are given back. Of several with one
    pinned number the first by name keeps it. InvalidFleet where a range is used up.
    """
    sorted_ranges = sorted(ranges)
    duplicates = find_duplicate_numbers(pinned, sorted_ranges)
    numbers = {key: pinned[key] for key in _used_keys(pinned, sorted_ranges) if key not in duplicates}
    used = set(numbers.values())
    for key, first, last in sorted_ranges:
        if key in numbers:
            continue
        free = next((number for number in range(first, last + 1) if number not in used), None)
        if free is None:
            raise InvalidFleet(f"no endpoint number is left for {key} between {first} and {last}")
        numbers[key] = free
        used.add(free)
    return dict(sorted(numbers.items()))


def find_duplicate_numbers(pinned: Mapping[str, int], ranges: Iterable[EndpointRange]) -> dict[str, str]:
    """Every endpoint that is used and has another's number -> the first by name that has it."""
    holders: dict[int, str] = {}
    duplicates = {}
    for key in sorted(_used_keys(pinned, ranges)):
        holder = holders.setdefault(pinned[key], key)
        if holder != key:
            duplicates[key] = holder
    return duplicates


def _used_keys(pinned: Mapping[str, int], ranges: Iterable[EndpointRange]) -> list[str]:
    return [key for key, first, last in ranges if first <= pinned.get(key, -1) <= last]
