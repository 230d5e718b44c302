"""Refuses to rename a fleet where hosts have data under several names. Pure.

A rename changes nothing that runs: hosts keep their data in place and use the new name from the next apply on.
Whatever could belong to another fleet, or exists under both names, is refused.
"""

from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.fleet.names import listed
from unictl.plan.context.context import Situation


def pending(s: Situation) -> tuple[str, ...]:
    """The hosts that still have the fleet under its former name."""
    named = {host: said.naming.called for host, said in s.answered.items() if host in s.fleet.hosts}
    return tuple(host for host, called in named.items() if called not in ("", s.fleet.owner))


def renaming(s: Situation) -> Iterator[Finding]:
    """What speaks against taking over, or against beginning anew, what hosts have under another name."""
    for host, said in s.answered.items():
        yield from _both(s, host, said.naming.both)
        for kin in said.naming.kin:
            yield _kin(s, host, kin)
    yield from _twins(s)
    if not any(said.naming.called for said in s.answered.values()):
        for host, said in s.answered.items():
            for other in said.naming.former:
                text = f"the fleet {s.fleet.was} on {host} is another one ({other}): it is not taken over"
                hint = "write the name that this fleet had, or take `was` away to begin anew"
                yield Finding(path=("fleet", "was"), code="another-fleet", text=text, hint=hint)


def _both(s: Situation, host: str, things: tuple[str, ...]) -> Iterator[Finding]:
    if things:
        text = (
            f"{host} has this fleet under both names: {listed(things)} of {s.fleet.was}, and others of {s.fleet.name}"
        )
        yield Finding(path=("fleet", "was"), code="both-names", text=text, hint=_END_ONE.format(was=s.fleet.was))


def _twins(s: Situation) -> Iterator[Finding]:
    """Instances that one host has under the former name, and another under the new one."""
    hosts = set(pending(s))
    for name, lives in sorted(s.lives.items()) if hosts else ():
        old = [live.host for live in lives if live.host in hosts]
        new = [live.host for live in lives if live.host not in hosts]
        if old and new:
            text = f"{name} is there under both names: of {s.fleet.was} on {old[0]}, of {s.fleet.name} on {new[0]}"
            yield Finding(path=("fleet", "was"), code="both-names", text=text, hint=_END_ONE.format(was=s.fleet.was))


_END_ONE = "end what one of them has (`unictl destroy`, under `name: {was}` for that), or take `was` away"


def _kin(s: Situation, host: str, kin: str) -> Finding:
    name = kin.partition("@")[0]
    text = f"{host} has this fleet (id {s.fleet.id}) under the name {name}: applied as it is, all would be there twice"
    if s.fleet.was:
        hint = f"write `was: {name}`; what it was called in between is taken over by another apply"
    else:
        hint = f"if it has a new name now: `was: {name}`; if it is another fleet, give it an `id:` of its own"
    return Finding(path=("fleet", "was") if s.fleet.was else ("fleet",), code="renamed-fleet", text=text, hint=hint)
