"""Guards for hosts: removed from the fleet file, locked, damaged, misnamed or with a wrong clock. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from unictl.diagnostics.diagnostic import Severity
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Path
from unictl.fleet.model import Order
from unictl.fleet.names import listed
from unictl.fleet.quantities import memory_text
from unictl.instances.observed.host_state import Claim, Silent, Survey
from unictl.plan.context import last_applied
from unictl.plan.context.context import Situation
from unictl.plan.guards import host_identity
from unictl.plan.ingress import haproxy_config, members
from unictl.plan.ingress.members import Membership, routed
from unictl.plan.model.change import Action, Change
from unictl.plan.model.reason import Reason
from unictl.plan.model.step import Kind
from unictl.plan.reconcile.reconcile import Work
from unictl.plan.rollout.rollout import Rollout
from unictl.plan.rollout.step_factory import volume_size
from unictl.plan.rollout.waves import making, may_be_down

SKEW = 10.0
"""Seconds that a host's clock may be off without a word."""


def hosts(s: Situation) -> Iterator[Finding]:
    """Hosts that are gone from the file, or hold another fleet of this name, and what is odd about them."""
    for name, said in s.answered.items():
        for owner in said.namesakes:
            text = f"{name} has another fleet called {s.fleet.mark}: {owner}"
            hint = "give this fleet another name, or its `id:` where it is meant to be that one"
            yield Finding(path=("fleet",), code="namesake", text=text, hint=hint)
        if said.lease:
            text = f"{said.lease.get('user') or 'somebody'} holds the lease of {name} now: an apply would have to wait"
            yield Finding(path=("hosts", name), code="lease-held", text=text, severity=Severity.WARNING)
        for text in said.notes:
            hint = "if it comes often, look at the line and at MaxStartups in the sshd_config there"
            yield Finding(path=("hosts", name), code="shaky-line", text=text, hint=hint, severity=Severity.WARNING)
        if abs(said.skew) > SKEW:
            way = "ahead of" if said.skew > 0 else "behind"
            text = f"the clock of {name} is {_span(abs(said.skew))} {way} this machine's"
            hint = "set it right: nothing here waits by it, but every time that is told of that host is off by as much"
            yield Finding(path=("hosts", name), code="clock-skew", text=text, hint=hint, severity=Severity.WARNING)
    for name, told in sorted(s.world.items()):
        if isinstance(told, Silent) and told.code:
            path: Path = ("fleet",) if told.code == "renamed" else ("hosts", name)
            yield Finding(path=path, code=told.code, text=told.why, hint=told.hint)
    yield from _spoiled(s)
    nowhere = [wished.name for wished in s.wished if wished.name not in s.lives]
    may = f"; {listed(nowhere)} may run there, since no other host has {_them(nowhere)}" if nowhere else ""
    for name, where in last_applied.left(s).items():
        text = (
            f"{name} is not in the fleet file any more, and was when the fleet was last applied (so {where} says){may}"
        )
        hint = f"put {name} back with `drain: true` and apply, or with `lost: true` if it is dead, before you remove it"
        yield Finding(path=("hosts",), code="host-left", text=text, hint=hint)


def _spoiled(s: Situation) -> Iterator[Finding]:
    """Files on hosts that are not what they have to be, this fleet's or another's."""
    for name, said in s.answered.items():
        for row in said.spoiled:
            severity = Severity.ERROR if row["bars"] else Severity.WARNING
            text = f"{name}: {row['text']}"
            yield Finding(
                path=("hosts", name), code="spoiled-file", text=text, hint=str(row["hint"]), severity=severity
            )


def _them(names: Sequence[str]) -> str:
    return "them" if len(names) > 1 else "it"


def _span(seconds: float) -> str:
    """About how long, in the unit a person would use."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def protection(s: Situation, changes: Sequence[Change]) -> Iterator[Finding]:
    """Marks on live instances that bar what is asked for."""
    for change in changes:
        if change.action is Action.HELD and change.reason is Reason.PROTECTED:
            own = ("services", change.service, "protect")
            yield Finding(
                path=own if change.service in s.fleet.services else ("services",),
                code="protected",
                text=f"{change.subject} on {change.host} is protected: {change.detail}",
                hint=f"put {change.service} back without `protect`, apply that, and then take it away"
                if change.service not in s.fleet.services or s.options.destroy
                else f"take `protect` off {change.service} and apply that first",
            )


def floors(s: Situation, works: Sequence[Work]) -> Iterator[Finding]:
    """Rollouts that could never take the first one down, and create-first where it cannot be."""
    by_service: defaultdict[str, list[Work]] = defaultdict(list)
    for work in works:
        by_service[work.service].append(work)
    for name, own in sorted(by_service.items()):
        service = s.fleet.services.get(name)
        down = [item for item in making(own) if item.takes_down] if service else []
        if service is None or not down:
            continue
        missing = sum(work.change.action is Action.UNKNOWN for work in own)
        if may_be_down(service, missing) <= 0:
            unknown = f", with {missing} of them on hosts that do not answer" if missing else ""
            yield Finding(
                path=("services", name, "update", "min_available"),
                code="dead-lock",
                text=f"{name} is replaced stop-first, and none of its {service.replicas} may be down{unknown}",
                hint=f"lower `min_available` of {name}, or give it another replica",
            )
        if service.update.order is Order.CREATE_FIRST:
            yield Finding(
                path=("services", name, "update", "order"),
                code="cannot-create-first",
                text=f"{name} cannot be replaced create-first: its volume has one user at a time",
                hint="leave `order` out: the plan then stops the old one first",
            )


def capabilities(s: Situation, made: Rollout) -> Iterator[Finding]:
    """What a host lacks of what its steps need."""
    steps = made.draft.steps()
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for each in steps:
        if each.kind is Kind.LAUNCH:
            wanted[each.host].add("no-qemu")
        if each.kind is Kind.JOIN and any(each.data["services"].values()):
            wanted[each.host].add("no-haproxy")
    for host, codes in sorted(wanted.items()):
        for lack in s.answered[host].lacks:
            if lack.code in codes:
                hint = lack.hint or (f"install it, or set `ingress: false` on {host}" if "haproxy" in lack.code else "")
                yield Finding(path=("hosts", host), code=lack.code, text=f"{host}: {lack.text}", hint=hint)


def ports(s: Situation, after: Membership, written: Sequence[str]) -> Iterator[Finding]:
    """Ports that the ingress is to listen on, and somebody else holds: one for each host and holder."""
    wanted = {(row["bind"], row["port"]): (name, row) for name, rows in after.items() for row in rows}
    for host in sorted({*written} - host_identity.moved(s).keys()):
        held: defaultdict[str, dict[int, tuple[str, str, str]]] = defaultdict(dict)
        for claim in s.answered[host].claims:
            if claim.kind == "port":
                for (bind, port), (name, row) in wanted.items():
                    if port == claim.port and _overlap(bind, claim.bind):
                        held[_holder(claim)][port] = (name, row["name"], bind)
        for by, taken in sorted(held.items()):
            yield _taken(s, host, by, taken)


def lengths(s: Situation, made: Rollout, written: Sequence[str]) -> Iterator[Finding]:
    """An ingress that is longer than a host can be told; while a rollout runs it holds old and new."""
    if not written or not members.long((made.before, made.after)):
        return
    both = members.together(made.before, made.after)
    size = len(members.compose(s.fleet.owner, both))
    if size > haproxy_config.LONGEST:
        many = len({server["name"] for rows in both.values() for row in rows for server in row["servers"]})
        text = (
            f"the ingress of {listed(sorted(written))} would lead to {many} instances, old and new: its configuration "
            f"is {size / 1e6:.1f} MB, and a host takes {haproxy_config.LONGEST / 1e6:.1f} MB"
        )
        hint = "make two fleets of this one; `ingress: false` takes it off a host that needs none"
        yield Finding(path=("services",), code="ingress-too-long", text=text, hint=hint)


def _overlap(one: str, two: str) -> bool:
    wild = ("", "*", "0.0.0.0", "::")
    return one == two or one in wild or two in wild


def _holder(claim: Claim) -> str:
    return f"{claim.holder or 'something'} of fleet {claim.owner}" if claim.owner else "another program"


def _taken(s: Situation, host: str, by: str, taken: Mapping[int, tuple[str, str, str]]) -> Finding:
    """The first of them by name; where there are more, they are listed."""
    first = sorted(taken.items(), key=lambda each: (each[1][2] != "*", each[1][1], each[0]))
    (port, (service, name, bind)), *more = first
    what = "is to be published on" if bind == "*" else "has its endpoint on"
    path: Path = ("services", service, "ports")
    if bind == "*" and service in s.fleet.services:
        at = next((n for n, p in enumerate(s.fleet.services[service].publish) if p.port == port), 0)
        path = ("services", service, "publish", at)
    hint = (
        "publish it on another port, or free that one"
        if bind == "*"
        else "free it, or give the network other `endpoints`"
    )
    rest = listed((f"{number} ({label})" for number, (_, label, _) in more), most=6)
    too = f"; it holds {rest} too" if more else ""
    text = f"{name} {what} port {port}, which {by} holds on {host}{too}"
    return Finding(path=path, code="port-taken", text=text, hint=hint)


def publishing(s: Situation) -> Iterator[Finding]:
    """What cannot be published yet."""
    for name, service in sorted(s.fleet.services.items()):
        streams = {port.name for port in routed(service)}
        for n, publish in enumerate(service.publish):
            path = ("services", name, "publish", n)
            for key in ("host", "sni", "tls"):
                if getattr(publish, key):
                    text = f"`{key}` of a published port is not supported yet"
                    yield Finding(path=(*path, key), code="not-supported", text=text, hint=f"leave `{key}` out")
            if publish.to not in streams and any(port.name == publish.to for port in service.ports):
                text = f"publishing {name}.{publish.to} is not supported yet: it is UDP, or of a job"
                yield Finding(path=path, code="not-supported", text=text, hint="leave it out")


def volumes(s: Situation, works: Sequence[Work], made: Rollout) -> Iterator[Finding]:
    """Volumes that stay, that cannot shrink, that are in use, that nobody has."""
    wanted = {name: work for work in works if work.wished for name in work.wished.volumes.values()}
    wanted = {} if s.options.destroy else wanted
    retired = {(each.host, each.data["key"]) for each in made.draft.steps() if each.kind is Kind.RETIRE}
    for host, said in s.answered.items():
        yield from _volumes(s, host, said, wanted, retired)
    for each in made.tangled:
        who, service = each.new.wished.name, each.new.wished.service
        text = f"{who} is to have volume {each.volume}, which {each.holder} on {each.host} gives up only later"
        hint = f"apply once without the volume at {service}, then again with it"
        yield Finding(path=("services", service, "volumes"), code="volume-tangled", text=text, hint=hint)
    for name in sorted(set(s.options.allow_volumes) - set(s.volumes)):
        gone = name in s.options.deleted
        text = f"no host{' that answered' if s.silent else ''} has a volume {name}"
        text = f"volume {name} is gone already: an earlier apply was told to delete it" if gone else text
        yield Finding(path=("volumes", name), code="no-volume", text=text, severity=Severity.WARNING)


def _volumes(
    s: Situation, host: str, said: Survey, wanted: dict[str, Work], retired: set[tuple[str, str]]
) -> Iterator[Finding]:
    for volume in sorted(said.volumes, key=lambda each: each.name):
        name, named = volume.name, volume.name in s.options.allow_volumes
        work = wanted.get(name)
        if named and work:
            text = f"volume {name} is named to be deleted, and {work.change.subject} uses it"
            yield Finding(
                path=("volumes", name), code="volume-in-use", text=text, hint=f"take {name} out of the fleet first"
            )
        elif named and volume.used_by and (host, volume.used_by) not in retired:
            text = f"volume {name} is named to be deleted, and {volume.used_by} on {host} still uses it"
            yield Finding(
                path=("volumes", name), code="volume-in-use", text=text, hint=f"let {volume.used_by} go first"
            )
        elif not named and work is None:
            text = f"volume {name} on {host} is used by nothing after this, and stays"
            hint = f"to delete it and its data: -allow-destroy volume:{name}"
            yield Finding(path=("volumes", name), code="volume-stays", text=text, hint=hint, severity=Severity.WARNING)
        if work and work.wished:
            yield from _held(host, work, volume.used_by, name, retired)
            yield from _size(s, host, work, name, volume.size)


def _held(host: str, work: Work, used_by: str, name: str, retired: set[tuple[str, str]]) -> Iterator[Finding]:
    new = work.change.new
    if new and new.document and used_by and used_by != new.key and (host, used_by) not in retired:
        text = f"{work.change.subject} is to have volume {name}, which {used_by} on {host} uses"
        yield Finding(
            path=("services", work.service, "volumes"), code="volume-in-use", text=text, hint="a volume has one user"
        )


def _size(s: Situation, host: str, work: Work, name: str, has: int) -> Iterator[Finding]:
    size = volume_size(s, work.service, name)
    path = ("volumes", name if name in s.fleet.volumes else name.rpartition("-")[0], "size")
    if size > has:
        want = memory_text(size)
        text = f"volume {name} on {host} has {memory_text(has)} and is to have {want}: growing is not supported yet"
        yield Finding(path=path, code="volume-grows", text=text, severity=Severity.WARNING)
    elif 0 < size < has:
        text = f"volume {name} on {host} has {memory_text(has)}, and cannot shrink to {memory_text(size)}"
        yield Finding(path=path, code="volume-shrinks", text=text, hint=f"write `size: {memory_text(has)}`")
