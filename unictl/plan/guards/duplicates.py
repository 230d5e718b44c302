"""Refuses plans while an instance or volume exists twice, until the user decides which one stays. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.finding import Finding
from unictl.fleet.names import listed
from unictl.instances.observed.host_state import Survey
from unictl.plan.context.context import Situation
from unictl.plan.reconcile.classify import running


def returned(s: Situation) -> Iterator[Finding]:
    """Hosts that are marked lost, and answer: whatever was lost with them may be elsewhere by now."""
    ids = {said.host_id for said in s.answered.values()}
    for name, said in s.returned.items():
        # The same machine under another name is a new one that stands in the place of the dead.
        if said.host_id not in ids:
            yield _returned(s, name, said)


def _returned(s: Situation, name: str, said: Survey) -> Finding:
    path, runs = ("hosts", name, "lost"), sorted({live.name for live in said.instances if running(live)})
    if not runs:
        text = f"{name} is marked lost, and answers; nothing of this fleet runs there"
        hint = f"take `lost: true` off {name} where it is to be used again"
        return Finding(path=path, code="lost-answers", text=text, hint=hint, severity=Severity.WARNING)
    twice = [each for each in runs if any(map(running, s.lives.get(each, ())))]
    only = [each for each in runs if each not in twice]
    words = [f"{listed(twice)} {_run(twice)} there and elsewhere too"] if twice else []
    words += [f"{listed(only)} {_run(only)} {'only ' if twice else ''}there"] if only else []
    volumes = [each.name for each in said.volumes if each.name in s.volumes]
    words += [f"volume {each} is there and on {s.volumes[each]}" for each in sorted(volumes)]
    text = f"{name} is marked lost, and answers: {'; '.join(words)}"
    hint = (
        f"switch {name} off or take it off the net; or write `drain: true` in the place of `lost: true`: the next "
        "apply then ends there what runs elsewhere, and moves the rest"
    )
    return Finding(path=path, code="lost-answers", text=text, hint=hint)


def _run(names: list[str]) -> str:
    return "run" if len(names) > 1 else "runs"


def volumes(s: Situation) -> Iterator[Finding]:
    """Volumes of one name on several hosts, as a host leaves behind that was declared lost and came back."""
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for host, said in s.answered.items():
        for volume in said.volumes:
            homes[volume.name].append(host)
    wanted = {name for wished in s.wished for name in wished.volumes.values()}
    for name, hosts in sorted(homes.items()):
        base = name if name in s.fleet.volumes else name.rpartition("-")[0]
        declared = s.fleet.volumes.get(base)
        chosen = declared is not None and declared.host in hosts
        if len(hosts) > 1 and name in wanted and not chosen and not s.options.destroy:
            text = f"volume {name} is on {listed(hosts)}: each may hold what the other does not"
            hint = (
                f"write `host: {hosts[0]}` or `host: {hosts[-1]}` for volume {base}, the one to go on with; the other "
                "stays, and nothing uses it"
            )
            yield Finding(path=("volumes", base), code="volume-twice", text=text, hint=hint)
