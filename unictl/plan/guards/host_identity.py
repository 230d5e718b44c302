"""Refuses hosts that are another machine, or have another store, than the fleet expects. These findings come
first. Pure.
"""

from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.plan.context import last_applied
from unictl.plan.context.context import Situation


def mistaken(s: Situation) -> Iterator[Finding]:
    """Hosts that show another store than before, that are another machine, or that are two under one id."""
    yield from _other_stores(s)
    seen: dict[str, str] = {}
    for name, said in s.answered.items():
        other = seen.setdefault(said.host_id, name)
        if other != name:
            yield _same_host(s, other, name)


def moved(s: Situation) -> dict[str, str]:
    """Hosts that show another store than the one where the fleet is, and where that is: everything would be made a
    second time, and what the other store holds would be in the way."""
    ids = {said.host_id for said in (*s.answered.values(), *s.returned.values())}
    others = ((name, other) for name, said in s.answered.items() for other in said.elsewhere)
    return {name: str(other["root"]) for name, other in others if other["id"] not in ids}


def _other_stores(s: Situation) -> Iterator[Finding]:
    """What decides first of all: all that is found besides on such a host is but a consequence."""
    others = moved(s)
    for name, root in others.items():
        text = f"{name} has this fleet in {root}, and as it is reached now its store is {s.answered[name].root}"
        hint = f"was `become` or the user changed? Change it back, or write `root: {root}` for {name}"
        yield Finding(path=("hosts", name), code="other-store", text=text, hint=hint)
    for name, where in last_applied.changed(s).items():
        if name in others:
            continue
        text = f"{name} is another machine, or has another store, than when the fleet was last applied"
        hint = (
            f"reach the old one again; or, where it is dead: apply once with `lost: true` on {name} and this one under"
        )
        yield Finding(
            path=("hosts", name), code="host-changed", text=f"{text} (so {where} says)", hint=f"{hint} another name"
        )


def _same_host(s: Situation, one: str, two: str) -> Finding:
    """Two hosts with one id: one machine, or two that were started since from one disk."""
    path, code, said = ("hosts", two), "same-host", s.answered[two]
    if s.answered[one].boot_id == said.boot_id:
        text = f"{one} and {two} are one machine: both have the id {said.host_id[:12]}"
        return Finding(path=path, code=code, text=text, hint=f"keep one of {one} and {two}")
    text = f"{one} and {two} are two machines that share the host-id {said.host_id[:12]}, as clones of one disk do"
    own = f"{s.answered[one].root}/host-id on {one}"
    file = f"{said.root}/host-id on {two}"
    hint = f"remove the file on the one that is the copy, {own} or {file}: the next plan gives it an id of its own"
    return Finding(path=path, code=code, text=text, hint=hint)
