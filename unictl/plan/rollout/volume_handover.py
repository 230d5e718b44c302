"""Volumes that pass from one service to another: who holds them, and which service must come later. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unictl.instances.desired.instance import Located
from unictl.plan.context.context import Situation
from unictl.plan.ingress.members import Place
from unictl.plan.reconcile.reconcile import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Tangle:
    """A volume whose new user would be launched before the old one (a key, and its host) is gone: no order of the
    services does it."""

    volume: str
    new: Located
    holder: str
    host: str


def holders(s: Situation, works: Sequence[Work]) -> Mapping[str, list[Place]]:
    """Who holds a volume that something new of another name is to have."""
    wanted = {
        volume: work.change.subject
        for work in works
        if work.change.new and work.wished
        for volume in work.wished.volumes.values()
    }
    found: defaultdict[str, list[Place]] = defaultdict(list)
    for name, lives in s.lives.items():
        for live in lives:
            for volume in live.volumes:
                if wanted.get(volume, name) != name:
                    found[volume].append((live.key, live.host))
    return found


def late(works: Sequence[Work], holders: Mapping[str, Sequence[Place]]) -> Mapping[str, set[str]]:
    """Who gets a volume -> those who have it now: where they stay without it, they let go of it first."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for work in works if holders else ():
        for volume in work.wished.volumes.values() if work.wished and work.change.new else ():
            found[work.service].update(key.partition(".")[0].rpartition("-")[0] for key, _ in holders.get(volume, ()))
    return {name: others - {name} for name, others in found.items() if others - {name}}
