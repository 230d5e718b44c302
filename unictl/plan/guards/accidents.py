"""Guards against likely mistakes: an empty fleet file, a volume that loses its last user, an undeclared rename.
Pure.

The first two are refused under every policy until the user names the number of instances or the volume.
"""

from collections.abc import Iterator, Sequence

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Service
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.context.context import Situation
from unictl.plan.guards.budget import losses
from unictl.plan.model.change import Action, Change
from unictl.plan.model.reason import Reason
from unictl.plan.reconcile.reconcile import Work


def emptied(s: Situation, changes: Sequence[Change]) -> Iterator[Finding]:
    """A fleet file that wishes nothing any more, while something runs, or while nobody can say whether it does."""
    if s.options.destroy or s.wished:
        return
    if not s.fleet.hosts:
        text = "the fleet file has neither hosts nor services: what runs cannot be compared with it"
        hint = "is this the right file? to end a fleet, leave its hosts in, and type: unictl destroy"
        yield Finding(path=("fleet",), code="emptied", text=text, hint=hint)
        return
    lost = losses(changes)
    if lost and len(lost) > (s.options.allow_destroy or 0):
        what = "wishes no instance" if s.fleet.services else "has no services"
        verb = "is" if len(lost) == 1 else "are"
        text = f"the fleet file {what} any more, and {len(lost)} {verb} there"
        hint = f"is this the right file? if that is what you want: -allow-destroy {len(lost)}, or unictl destroy"
        yield Finding(path=("services",) if s.fleet.services else ("fleet",), code="emptied", text=text, hint=hint)


def renamed(s: Situation, changes: Sequence[Change]) -> Iterator[Finding]:
    """A service that is gone and one that is new, alike in image and ports: most likely one under a new name."""
    gone = {
        c.service: c.old for c in changes if c.action is Action.DESTROY and c.reason == Reason.NOT_IN_FLEET and c.old
    }
    living = {name.rpartition("-")[0] for name in s.lives}
    new = [service for name, service in sorted(s.fleet.services.items()) if name not in living and not service.was]
    for old, live in sorted(gone.items()):
        alike = [service.name for service in new if _alike(s, service, live)]
        if len(alike) == 1:
            yield Finding(
                path=("services", alike[0]),
                code="renamed",
                text=f"{old} is gone from the fleet file, and {alike[0]} is new, with the same image and ports",
                hint=f"where that is a new name: `was: {old}` at {alike[0]} replaces the instances, and keeps volumes",
                severity=Severity.WARNING,
            )


def _alike(s: Situation, service: Service, live: LiveInstance) -> bool:
    boots = {each.sha256 for each in s.facts.get(service.image, {}).values()}
    ports = {port.name for port in service.ports}
    return boots == set(live.images) and ports == {forward["name"] for forward in live.forwards}


def bereft(s: Situation, changes: Sequence[Change], works: Sequence[Work]) -> Iterator[Finding]:
    """Volumes whose last user goes, while they are kept: nobody would miss the data until it is too late."""
    if s.options.destroy or (s.options.allow_destroy or 0) >= len(losses(changes)):
        return
    going = {(c.old.host, c.old.key): c for c in changes if c.action is Action.DESTROY and c.old}
    wanted = {name for work in works if work.wished for name in work.wished.volumes.values()}
    for host, said in s.answered.items():
        for volume in sorted(said.volumes, key=lambda each: each.name):
            gone = going.get((host, volume.used_by))
            if gone is None or volume.name in wanted or volume.name in s.options.allow_volumes:
                continue
            yield Finding(
                path=gone.origin or ("volumes", volume.name),
                code="last-user",
                text=f"{gone.subject} is the last user of volume {volume.name} on {host}, and would be destroyed",
                hint=f"to keep the volume without a user: -allow-destroy {len(losses(changes))}; "
                f"to delete it too: -allow-destroy volume:{volume.name}",
            )
