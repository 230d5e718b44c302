"""Read-only queries of hosts: live state, health, stores, ledgers, logs. Plain calls; the event loop is inside."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from unictl.diagnostics.failure import Failure, Unreachable, UsageFailure
from unictl.execution.surveys import MAX_CONNECTIONS, Connections, Connector, DesiredFingerprints, survey_all
from unictl.fleet.model import Fleet
from unictl.fleet.model import Host as Machine
from unictl.fleet.names import InstanceName, closest_match
from unictl.hosts.connection import HostConnection
from unictl.hosts.replies import IngressConfig
from unictl.instances.observed.host_state import LiveInstance, LiveState, Survey, UnreachableHost

if TYPE_CHECKING:
    from unictl.hosts.store_inventory import StoreInventory
    from unictl.journal.ledger_entry import LedgerEntry

MAX_LEDGER_ENTRIES = 500
"""How many applies a ledger is looked back."""


def live_state(fleet: Fleet, connect: Connector, fingerprints: DesiredFingerprints | None = None) -> LiveState:
    """What every host of the fleet says of itself.

    ``fingerprints``: instance name -> desired fingerprint, or what works it out while the hosts are being reached.
    """
    return asyncio.run(_query_live_state(fleet, connect, fingerprints or {}))


async def _query_live_state(fleet: Fleet, connect: Connector, fingerprints: DesiredFingerprints) -> LiveState:
    connections = await _connect_all(fleet, connect, fingerprints)
    await connections.close()
    return connections.live_state


async def _connect_all(fleet: Fleet, connect: Connector, fingerprints: DesiredFingerprints) -> Connections:
    return await survey_all(
        fleet.hosts,
        connect,
        owner=fleet.owner,
        mark=fleet.mark,
        former_owner=fleet.former_owner,
        fingerprints=fingerprints,
    )


def end_lease_holder(fleet: Fleet, connect: Connector, name: str) -> bool:
    """End the process that holds the fleet's lease on a host; False where nobody does. UsageFailure, Unreachable."""
    if name not in fleet.hosts:
        raise UsageFailure(f"the fleet has no host {name!r}", hint=f"it has {', '.join(sorted(fleet.hosts))}")
    return asyncio.run(_end_lease_holder(fleet, connect, name))


async def _end_lease_holder(fleet: Fleet, connect: Connector, name: str) -> bool:
    connection = await connect(fleet.hosts[name])
    try:
        return await connection.end_lease_holder(fleet.owner, fleet.former_owner)
    finally:
        await connection.close()


def health(fleet: Fleet, connect: Connector) -> tuple[LiveState, Mapping[tuple[str, str], str]]:
    """The live state, and by (host, instance key) how each instance is right now: healthy, unhealthy, starting,
    process-only or unknown."""
    return asyncio.run(_query_health(fleet, connect))


async def _query_health(fleet: Fleet, connect: Connector) -> tuple[LiveState, Mapping[tuple[str, str], str]]:
    connections = await _connect_all(fleet, connect, {})
    try:
        instances = [
            instance
            for survey in connections.live_state.values()
            if isinstance(survey, Survey)
            for instance in survey.instances
        ]
        health_states = await asyncio.gather(
            *(_instance_health(fleet, connections, live_instance) for live_instance in instances)
        )
    finally:
        await connections.close()
    return connections.live_state, {
        (instance.host, instance.key): health_state
        for instance, health_state in zip(instances, health_states, strict=True)
    }


def store_inventories(
    fleet: Fleet, connect: Connector, *, check: bool
) -> tuple[LiveState, "Mapping[str, StoreInventory]"]:
    """The live state, and by host what lies in its store. ``check``: images are read and compared with their names."""
    return asyncio.run(_query_inventories(fleet, connect, check))


async def _query_inventories(
    fleet: Fleet, connect: Connector, check: bool
) -> tuple[LiveState, "Mapping[str, StoreInventory]"]:
    connections = await _connect_all(fleet, connect, {})
    inventories_by_host: dict[str, StoreInventory] = {}

    async def query_host(name: str, host: HostConnection) -> None:
        try:
            inventories_by_host[name] = await host.read_inventory(fleet.owner, check)
        except Unreachable as failure:
            connections.live_state[name] = UnreachableHost(host=name, reason=failure.summary, hint=failure.hint)

    try:
        await asyncio.gather(*(query_host(name, host) for name, host in connections.by_host.items()))
    finally:
        await connections.close()
    return connections.live_state, inventories_by_host


def ledger_entries(fleet: Fleet, connect: Connector) -> "list[LedgerEntry]":
    """The last entries of the ledgers of all hosts that answer."""
    return asyncio.run(_query_ledgers(fleet, connect))


async def _query_ledgers(fleet: Fleet, connect: Connector) -> "list[LedgerEntry]":
    connections = await _connect_all(fleet, connect, {})
    try:
        requests = (host.read_ledger(fleet.owner, MAX_LEDGER_ENTRIES) for host in connections.by_host.values())
        ledgers_or_errors = await asyncio.gather(*requests, return_exceptions=True)
    finally:
        await connections.close()
    return [ledger_entry for ledger in ledgers_or_errors if isinstance(ledger, list) for ledger_entry in ledger]


def ingress_configs(fleet: Fleet, connect: Connector, names: Iterable[str]) -> Mapping[str, IngressConfig]:
    """By host, the ingress configuration in place. Hosts that do not answer any more are left out."""
    return asyncio.run(_query_ingress_configs(fleet, connect, [fleet.hosts[name] for name in names]))


async def _query_ingress_configs(
    fleet: Fleet, connect: Connector, hosts: Sequence[Machine]
) -> Mapping[str, IngressConfig]:
    async def read_config(host: Machine) -> IngressConfig:
        connection = await connect(host)
        try:
            return await connection.ingress_config(fleet.owner)
        finally:
            await connection.close()

    slots = asyncio.Semaphore(MAX_CONNECTIONS)

    async def config_of(host: Machine) -> IngressConfig:
        async with slots:
            return await read_config(host)

    configs_or_errors = await asyncio.gather(*map(config_of, hosts), return_exceptions=True)
    return {
        host.name: config
        for host, config in zip(hosts, configs_or_errors, strict=True)
        if not isinstance(config, BaseException)
    }


def is_completed_job(fleet: Fleet, live: LiveInstance) -> bool:
    """Whether it is a job that has done what it was there for."""
    service = fleet.services.get(live.service)
    job = service is not None and service.kind == "job"
    return job and live.state == "ended" and (live.end or {}).get("verdict") == "clean"


async def _instance_health(fleet: Fleet, connections: Connections, live: LiveInstance) -> str:
    if live.state == "starting":
        return "starting"
    if is_completed_job(fleet, live):
        return "healthy"
    if live.state not in ("running", "unsupervised"):
        return "unknown"
    service = fleet.services.get(live.service)
    if service is None or not service.health:
        return "process-only"
    # Only here: what looks at hosts alone must not pay for all that makes a plan.
    from unictl.instances.launch.probes import probe_json

    probes = [probe_json(probe, live.forwards) for probe in service.health]
    try:
        report = await connections.by_host[live.host].check_health(fleet.owner, live.key, probes)
    except Failure:
        return "unknown"
    if report.healthy:
        return "healthy"
    return "unhealthy" if live.proven else "starting"


def follow_logs(
    fleet: Fleet, connect: Connector, selector: str, *, previous: bool, lines: int, follow: bool
) -> Iterator[str]:
    """The console of an instance, or of every instance of a service, as it comes."""
    loop = asyncio.new_event_loop()
    pieces = _stream_logs(fleet, connect, selector, previous, lines, follow)
    next_piece = loop.create_task(_next_piece(pieces))
    try:
        while (piece := loop.run_until_complete(next_piece)) is not None:
            next_piece = loop.create_task(_next_piece(pieces))
            yield piece
    finally:
        # An interrupt leaves it waiting, and a generator that waits cannot be closed.
        next_piece.cancel()
        loop.run_until_complete(asyncio.gather(next_piece, return_exceptions=True))
        loop.run_until_complete(pieces.aclose())
        loop.close()


async def _next_piece(pieces: AsyncGenerator[str, None]) -> str | None:
    return await anext(pieces, None)


async def _stream_logs(
    fleet: Fleet, connect: Connector, selector: str, previous: bool, lines: int, follow: bool
) -> AsyncGenerator[str, None]:
    connections = await _connect_all(fleet, connect, {})
    try:
        selected = _match_instances(connections, selector)
        if not selected:
            raise _no_match_failure(connections, selector)
        async for piece in _merge_logs(connections, fleet, selected, previous, lines, follow):
            yield piece
    finally:
        await connections.close()


def _no_match_failure(connections: Connections, selector: str) -> Failure:
    """No host that answers has it; one that does not may."""
    closest_name = closest_match(selector, _selectable_names(connections))
    suggestion = f", did you mean {closest_name}?" if closest_name else ""
    unreachable_hosts = [
        host_state
        for _, host_state in sorted(connections.live_state.items())
        if isinstance(host_state, UnreachableHost)
    ]
    if not unreachable_hosts:
        return UsageFailure(f"no instance {selector!r} on any host{suggestion}", hint="unictl status lists them")
    reasons = "; ".join(
        f"{host_state.host} does not answer and may have it: {host_state.reason.rstrip('.')}"
        for host_state in unreachable_hosts
    )
    hint = "; ".join(dict.fromkeys(host_state.hint for host_state in unreachable_hosts if host_state.hint))
    return Unreachable(f"no instance {selector!r} on any host that answered{suggestion or ';'} {reasons}", hint=hint)


def _match_instances(connections: Connections, selector: str) -> list[tuple[str, str]]:
    """(host, instance name) of what ``selector`` names: an instance, live or retired, or a service."""
    instance_keys: set[tuple[str, str]] = set()
    for host, survey in connections.live_state.items():
        if isinstance(survey, Survey):
            instance_keys |= {(host, live.name) for live in survey.instances}
            instance_keys |= {(host, name) for name in survey.retired}
    exact_matches = sorted(instance_key for instance_key in instance_keys if instance_key[1] == selector)
    return exact_matches or sorted(
        instance_key for instance_key in instance_keys if InstanceName(instance_key[1]).service == selector
    )


def _selectable_names(connections: Connections) -> set[str]:
    """What a selector could have named."""
    answering_hosts = [survey for survey in connections.live_state.values() if isinstance(survey, Survey)]
    names = {
        name for survey in answering_hosts for name in (*survey.retired, *(live.name for live in survey.instances))
    }
    return names | {InstanceName(name).service for name in names}


async def _merge_logs(
    connections: Connections, fleet: Fleet, selected: list[tuple[str, str]], previous: bool, lines: int, follow: bool
) -> AsyncIterator[str]:
    """The texts of several consoles, each line with its instance's name where there is more than one."""
    queue: asyncio.Queue[str | BaseException | None] = asyncio.Queue()

    async def copy_log(host: str, name: str) -> None:
        prefix = f"{name}: " if len(selected) > 1 else ""
        try:
            tail = connections.by_host[host].stream_logs(
                fleet.owner, name, previous=previous, follow=follow, lines=lines
            )
            async for piece in tail:
                for line in piece.splitlines(keepends=True):
                    queue.put_nowait(prefix + line)
        except Failure as failure:
            queue.put_nowait(failure)
        queue.put_nowait(None)

    tasks = [asyncio.create_task(copy_log(host, name)) for host, name in selected]
    open_logs = len(tasks)
    try:
        while open_logs:
            piece = await queue.get()
            if piece is None:
                open_logs -= 1
            elif isinstance(piece, BaseException):
                raise piece
            else:
                yield piece
    finally:
        for task in tasks:
            task.cancel()
