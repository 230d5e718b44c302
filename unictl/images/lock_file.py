"""``fleet.lock``, the lock file: digest and facts of every image's files, and the endpoint numbers. Merged and
written.

Text in, text out: the caller reads and writes the file. The file is JSON with sorted keys, so that git merges
and shows it line by line. Two branches can merge without a conflict and still be wrong: two endpoints of one
number.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from unictl.diagnostics.failure import InvalidFleet
from unictl.fleet.model import Fleet
from unictl.guests.image_facts import ImageFacts

FORMAT = 1
NAME = "fleet.lock"

Facts = Mapping[str, Mapping[str, ImageFacts]]
"""Image name -> part (``kernel``, ``initrd``, ``disk``) -> facts."""
Origins = Mapping[str, Mapping[str, str]]
"""Image name -> part -> the path in the fleet's folder or the URL that it was resolved from."""
Range = tuple[str, int, int]
"""``service.port``, and the first and last number it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What the lock file pins: facts of images and where they came from, and ``service.port`` -> endpoint number.

    ``origins`` lacks what an older unictl has locked.
    """

    images: Facts = field(default_factory=dict)
    origins: Origins = field(default_factory=dict)
    endpoints: Mapping[str, int] = field(default_factory=dict)


def write(lock: Lock) -> str:
    """The text of the lock file."""
    images = {
        name: {part: facts.to_json() | _source(lock, name, part) for part, facts in parts.items()}
        for name, parts in lock.images.items()
    }
    tree = {"format": FORMAT, "images": images, "endpoints": dict(lock.endpoints)}
    return json.dumps(tree, indent=2, sort_keys=True) + "\n"


def _source(lock: Lock, name: str, part: str) -> dict[str, str]:
    origin = lock.origins.get(name, {}).get(part, "")
    return {"source": origin} if origin else {}


def ranges(fleet: Fleet) -> list[Range]:
    """Every endpoint of a fleet, with the numbers that its network gives."""
    rows: list[Range] = []
    for service in fleet.services.values():
        network = fleet.networks.get((*service.network, fleet.default_network)[0])
        span = network.endpoints if network else "20000-29999"
        first, dash, last = span.partition("-")
        if not dash:
            continue  # Addresses instead of numbers, which is not supported yet: told elsewhere.
        rows += [(f"{service.name}.{port.name}", int(first), int(last)) for port in service.ports]
    return rows


def number_endpoints(pinned: Mapping[str, int], ranges: Iterable[Range]) -> dict[str, int]:
    """A number for every ``(service.port, first, last)``: the pinned one, else the lowest that is free.

    Nothing pinned is renumbered while it is used; numbers of ports that are gone are given back. Of several with one
    pinned number the first by name keeps it. InvalidFleet where a range is used up.
    """
    wanted = sorted(ranges)
    others = doubles(pinned, wanted)
    numbers = {key: pinned[key] for key in _used(pinned, wanted) if key not in others}
    used = set(numbers.values())
    for key, first, last in wanted:
        if key in numbers:
            continue
        free = next((n for n in range(first, last + 1) if n not in used), None)
        if free is None:
            raise InvalidFleet(f"no endpoint number is left for {key} between {first} and {last}")
        numbers[key] = free
        used.add(free)
    return dict(sorted(numbers.items()))


def doubles(pinned: Mapping[str, int], ranges: Iterable[Range]) -> dict[str, str]:
    """Every endpoint that is used and has another's number -> the first by name that has it."""
    holders: dict[int, str] = {}
    found = {}
    for key in sorted(_used(pinned, ranges)):
        holder = holders.setdefault(pinned[key], key)
        if holder != key:
            found[key] = holder
    return found


def _used(pinned: Mapping[str, int], ranges: Iterable[Range]) -> list[str]:
    return [key for key, first, last in ranges if first <= pinned.get(key, -1) <= last]
