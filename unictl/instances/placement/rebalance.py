"""Moves instances until a service is spread as it asks for. Pure.

Only from where it has most to where it has fewest, and only while that makes a difference: two apart or more.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from unictl.fleet.model import Service
from unictl.instances.desired.instance import Wished
from unictl.instances.placement.capacity import need_of
from unictl.instances.placement.feasibility import Ground
from unictl.instances.placement.host_pool import Board, value_of


def even(
    board: Board, service: Service, ground: Ground, movable: Mapping[str, Sequence[Wished]]
) -> Iterator[tuple[Wished, str]]:
    """(instance, host) of each that moves, noted on the board; ``movable``: host -> its instances there that may."""
    run = _Evening(board, service, ground, movable)
    while move := run.move():
        yield move


class _Evening:
    """One service while it is evened out; the highest ordinals go first."""

    def __init__(self, board: Board, service: Service, ground: Ground, movable: Mapping[str, Sequence[Wished]]):
        self.board, self.service, self.ground = board, service, ground
        self.movable = {host: sorted(each, key=lambda w: w.ordinal) for host, each in movable.items()}
        self.groups: defaultdict[str, list[str]] = defaultdict(list)
        for host in ground.allowed:
            self.groups[value_of(board.fleet, host, service.placement.spread)].append(host)

    def move(self) -> tuple[Wished, str] | None:
        """The next move: between groups, then between the hosts of a group."""
        return self._between_groups() or next(filter(None, map(self._within, sorted(self.groups))), None)

    def _between_groups(self) -> tuple[Wished, str] | None:
        counts = {value: sum(map(self._count, hosts)) for value, hosts in self.groups.items()}
        pairs = [(a, b) for a in counts for b in counts if counts[a] - counts[b] > 1]
        for most, fewest in sorted(pairs, key=lambda pair: (counts[pair[1]] - counts[pair[0]], pair)):
            if move := self._from_to(self.groups[most], self.groups[fewest]):
                return move
        return None

    def _within(self, value: str) -> tuple[Wished, str] | None:
        hosts = self.groups[value]
        most = max(map(self._count, hosts))
        fewest = [host for host in hosts if most - self._count(host) > 1]
        return self._from_to([host for host in hosts if self._count(host) == most], fewest)

    def _from_to(self, fuller: Sequence[str], emptier: Sequence[str]) -> tuple[Wished, str] | None:
        sources = sorted((h for h in fuller if self.movable.get(h)), key=lambda h: (-self._count(h), h))
        targets = sorted(emptier, key=lambda h: (self._count(h), -self.board.rooms[h].memory, h))
        for source in sources[:1]:
            need = need_of(self.movable[source][-1])
            for target in targets:
                if self.board.takes(self.service, target, need):
                    return self._moved(source, target)
        return None

    def _moved(self, source: str, target: str) -> tuple[Wished, str]:
        wished = self.movable[source].pop()
        self.board.where[self.service.name][source] -= 1
        self.board.put(self.service.name, target, need_of(wished))
        return wished, target

    def _count(self, host: str) -> int:
        return self.board.where.get(self.service.name, {}).get(host, 0)
