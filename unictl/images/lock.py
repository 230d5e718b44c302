"""``fleet.lock``: the digest and facts of every image's files, and the endpoint numbers. Read, merged, written.

Text in, text out: who reads and writes the file is the caller. The file is JSON with sorted keys, so that git merges
and shows it line by line.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from unictl.diagnostics.failure import InvalidFleet
from unictl.guests.facts import ImageFacts

FORMAT = 1
NAME = "fleet.lock"

Facts = Mapping[str, Mapping[str, ImageFacts]]
"""Image name -> part (``kernel``, ``initrd``, ``disk``) -> facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What the lock file pins: facts of images, and ``service.port`` -> endpoint number."""

    images: Facts = field(default_factory=dict)
    endpoints: Mapping[str, int] = field(default_factory=dict)


def read(text: str) -> Lock:
    """The Lock in ``text``; InvalidFleet with a sentence where it is none, or was written by a newer unictl."""
    try:
        tree = json.loads(text)
        if tree["format"] > FORMAT:
            raise InvalidFleet(f"{NAME} was written by a newer unictl (format {tree['format']})", hint="upgrade unictl")
        images = {
            name: {part: ImageFacts.from_json(facts) for part, facts in parts.items()}
            for name, parts in tree["images"].items()
        }
        return Lock(images=images, endpoints={key: int(number) for key, number in tree["endpoints"].items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidFleet(
            f"{NAME} cannot be read: {error}",
            hint="it is written by the tool: restore it from git; deleting it gives every endpoint a new number",
        ) from None


def write(lock: Lock) -> str:
    """The text of the lock file."""
    images = {n: {p: f.to_json() for p, f in parts.items()} for n, parts in lock.images.items()}
    tree = {"format": FORMAT, "images": images, "endpoints": dict(lock.endpoints)}
    return json.dumps(tree, indent=2, sort_keys=True) + "\n"


def number_endpoints(pinned: Mapping[str, int], ranges: Iterable[tuple[str, int, int]]) -> dict[str, int]:
    """A number for every ``(service.port, first, last)``: the pinned one, else the lowest that is free.

    Nothing pinned is renumbered while it is used; numbers of ports that are gone are given back.
    InvalidFleet where a range is used up.
    """
    wanted = list(ranges)
    numbers = {key: pinned[key] for key, first, last in wanted if first <= pinned.get(key, -1) <= last}
    used = set(numbers.values())
    for key, first, last in sorted(wanted):
        if key in numbers:
            continue
        free = next((n for n in range(first, last + 1) if n not in used), None)
        if free is None:
            raise InvalidFleet(f"no endpoint number is left for {key} between {first} and {last}")
        numbers[key] = free
        used.add(free)
    return dict(sorted(numbers.items()))
