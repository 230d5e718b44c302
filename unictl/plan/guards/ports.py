"""Guards for ingress ports: in use, privileged, or not supported. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.names import join_names
from unictl.instances.observed.host_state import Claim
from unictl.plan.context.context import PlanContext
from unictl.plan.guards import host_identity
from unictl.plan.guards.draft import PlanDraft
from unictl.plan.ingress.members import ingress_ports

LOW_PORTS = "low-ports"


def privileged_ports(draft: PlanDraft) -> Iterator[Finding]:
    """What is to be published where the host's user may not listen: told before anything is started."""
    context, membership_after = draft.context, draft.rollout.membership_after
    hosts_by_listener: defaultdict[tuple[str, str, str, int, int], list[str]] = defaultdict(list)
    for host in sorted(draft.ingress_hosts):
        first_allowed_port = next(
            (
                capability.below
                for capability in context.surveys[host].missing_capabilities
                if capability.code == LOW_PORTS
            ),
            0,
        )
        for service, listeners in sorted(membership_after.items()):
            for listener in listeners:
                if listener.port < first_allowed_port:
                    hosts_by_listener[service, listener.name, listener.bind, listener.port, first_allowed_port].append(
                        host
                    )
    for (service, name, bind, port, first_allowed_port), hosts in hosts_by_listener.items():
        yield _privileged_port(context, service, name, bind, port, first_allowed_port, hosts)


def _privileged_port(
    context: PlanContext, service: str, name: str, bind: str, port: int, first_allowed_port: int, hosts: list[str]
) -> Finding:
    path: DocumentPath = ("services", service, "ports")
    if bind == "*" and service in context.fleet.services:
        index = next(
            (
                position
                for position, publication in enumerate(context.fleet.services[service].publish)
                if publication.port == port
            ),
            0,
        )
        path = ("services", service, "publish", index)
    usage = "is to be published on" if bind == "*" else "has its endpoint on"
    host_list = join_names(hosts)
    return Finding(
        path=path,
        code="low-port",
        summary=f"{name} {usage} port {port}, "
        f"and the user on {host_list} may listen on ports from {first_allowed_port} up only",
        hint=f"set `become: true` for {host_list}, or take a port from {first_allowed_port} up",
        related=tuple(("hosts", host) for host in hosts if host in context.fleet.hosts),
    )


def ports_in_use(draft: PlanDraft) -> Iterator[Finding]:
    """Ports that the ingress is to listen on, and somebody else holds: one for each host and holder."""
    context, membership_after = draft.context, draft.rollout.membership_after
    listeners_by_address = {
        (listener.bind, listener.port): (name, listener)
        for name, listeners in membership_after.items()
        for listener in listeners
    }
    for host in sorted({*draft.ingress_hosts} - host_identity.wrong_store(context).keys()):
        taken_by_holder: defaultdict[str, dict[int, tuple[str, str, str]]] = defaultdict(dict)
        for claim in context.surveys[host].claims:
            if claim.kind == "port":
                for (bind, port), (name, listener) in listeners_by_address.items():
                    if port == claim.port and _binds_overlap(bind, claim.bind):
                        taken_by_holder[_holder(claim)][port] = (name, listener.name, bind)
        for holder, taken_ports in sorted(taken_by_holder.items()):
            yield _port_in_use(context, host, holder, taken_ports)


def _binds_overlap(first_bind: str, second_bind: str) -> bool:
    wildcards = ("", "*", "0.0.0.0", "::")
    return first_bind == second_bind or first_bind in wildcards or second_bind in wildcards


def _holder(claim: Claim) -> str:
    return f"{claim.holder or 'something'} of fleet {claim.owner}" if claim.owner else "another program"


def _port_in_use(
    context: PlanContext, host: str, holder: str, taken_ports: Mapping[int, tuple[str, str, str]]
) -> Finding:
    """The first of them by name; where there are more, they are listed."""
    sorted_ports = sorted(taken_ports.items(), key=lambda entry: (entry[1][2] != "*", entry[1][1], entry[0]))
    (port, (service, name, bind)), *other_ports = sorted_ports
    usage = "is to be published on" if bind == "*" else "has its endpoint on"
    path: DocumentPath = ("services", service, "ports")
    if bind == "*" and service in context.fleet.services:
        index = next(
            (
                position
                for position, publication in enumerate(context.fleet.services[service].publish)
                if publication.port == port
            ),
            0,
        )
        path = ("services", service, "publish", index)
    hint = (
        "publish it on another port, or free that one"
        if bind == "*"
        else "free it, or give the network other `endpoints`"
    )
    other_list = join_names((f"{number} ({listener_name})" for number, (_, listener_name, _) in other_ports), limit=6)
    others_text = f"; it holds {other_list} too" if other_ports else ""
    text = f"{name} {usage} port {port}, which {holder} holds on {host}{others_text}"
    return Finding(path=path, code="port-taken", summary=text, hint=hint)


def unsupported_publishing(draft: PlanDraft) -> Iterator[Finding]:
    """What cannot be published yet."""
    context = draft.context
    for name, service in sorted(context.fleet.services.items()):
        routable_ports = {port.name for port in ingress_ports(service)}
        for index, publish in enumerate(service.publish):
            path = ("services", name, "publish", index)
            for key in ("host", "sni", "tls"):
                if getattr(publish, key):
                    text = f"`{key}` of a published port is not supported yet"
                    yield Finding(path=(*path, key), code="not-supported", summary=text, hint=f"leave `{key}` out")
            if publish.to not in routable_ports and any(port.name == publish.to for port in service.ports):
                text = f"publishing {name}.{publish.to} is not supported yet: it is UDP, or of a job"
                yield Finding(path=path, code="not-supported", summary=text, hint="leave it out")
