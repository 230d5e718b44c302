"""Read without changing anything: validate, show, schema, status, logs and locks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from unictl.diagnostics.diagnostic import Problems
from unictl.diagnostics.failure import InvalidFleet, UsageFailure
from unictl.fleet.model import Fleet, Service
from unictl.fleet.references import Text, canonical_text
from unictl.instances.observed.host_state import Survey
from unictl.operations import package_data
from unictl.operations.planning.fleet_files import read_files, require_fleet
from unictl.operations.planning.fleet_lock import lock_problems
from unictl.operations.request import FleetRequest
from unictl.views import status_document

if TYPE_CHECKING:
    from unictl.declaration.json_schema import SchemaNode
    from unictl.operations.planning.fleet_files import PreparedFleet

FORMAT_VERSION = "1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """What came of reading a fleet's files; ``fleet`` is None where an error stands in ``problems``."""

    fleet: Fleet | None
    problems: Problems
    files: tuple[str, ...]


def validate_fleet(request: FleetRequest) -> ValidationResult:
    """Reads the files and nothing else: runs nothing, reads no secret and no image, connects nowhere."""
    files = read_files(request)
    problems = (*files.loaded.problems, *lock_problems(files))
    return ValidationResult(fleet=files.loaded.fleet, problems=problems, files=files.loaded.files)


def find_schema(name: str) -> SchemaNode:
    """The JSON Schema of that document; UsageFailure where there is none."""
    if name not in package_data.SCHEMAS:
        raise UsageFailure(f"there is no schema {name!r}", hint=f"it is one of {', '.join(package_data.SCHEMAS)}")
    return package_data.load_schema(name)


def describe_fleet(request: FleetRequest) -> dict[str, Any]:
    """The fleet as it is meant, with includes, templates and environment merged in."""
    files = read_files(request)
    if files.loaded.fleet is None:
        raise InvalidFleet("the fleet's files have problems", problems=files.loaded.problems)
    return {"format_version": FORMAT_VERSION, **_to_plain(files.loaded.fleet)}


def _to_plain(value: Any) -> Any:
    """JSON-able: texts as they are written, empty things left out."""
    if isinstance(value, Service):
        texts = {"args": [*map(canonical_text, value.args)], "environment": _canonical_texts(value.environment)}
        return _to_plain({item.name: getattr(value, item.name) for item in fields(value)} | texts)
    if is_dataclass(value):
        return _to_plain({item.name: getattr(value, item.name) for item in fields(value)})
    if isinstance(value, Mapping):
        return {key: plain for key, item in value.items() if (plain := _to_plain(item)) not in (None, "", [], {})}
    if isinstance(value, tuple | list):
        return [_to_plain(item) for item in value]
    return getattr(value, "value", value)


def _canonical_texts(texts: Mapping[str, Text]) -> dict[str, str]:
    return {name: canonical_text(text) for name, text in texts.items()}


def query_status(request: FleetRequest) -> dict[str, Any]:
    """What runs, host by host: the document of design's section on commands, with ``format_version``."""
    # Only here: what reads files alone must not pay for the event loop.
    from unictl.execution import queries
    from unictl.hosts.connector import connect_host
    from unictl.operations.planning.prepare_readonly import prepare_readonly

    prepared = prepare_readonly(request)
    fleet = prepared.fleet
    world, healths = queries.health(fleet, connect_host)
    ingress_hosts = [
        host
        for host, host_survey in sorted(world.items())
        if fleet.hosts[host].ingress and status_document.may_have_ingress(host_survey)
    ]
    return {
        "format_version": FORMAT_VERSION,
        "fleet": fleet.mark,
        "hosts": [status_document.host_row(host_survey) for _, host_survey in sorted(world.items())],
        "instances": [
            status_document.instance_row(fleet, live, healths[live.host, live.key])
            for _, host_survey in sorted(world.items())
            if isinstance(host_survey, Survey)
            for live in host_survey.instances
        ]
        + list(status_document.unreported_rows(fleet, world)),
        "endpoints": [*_endpoint_rows(prepared, ingress_hosts), *status_document.published_rows(fleet, ingress_hosts)],
    }


def _endpoint_rows(prepared: PreparedFleet, ingress_hosts: list[str]) -> Iterator[dict[str, Any]]:
    """Every endpoint; the address is empty where ``fleet.lock`` does not say its number."""
    for key in sorted(
        f"{name}.{port.name}"
        for name, declared_service in prepared.fleet.services.items()
        for port in declared_service.ports
    ):
        service, _, port = key.partition(".")
        number = prepared.endpoints.get(key)
        address = f"127.0.0.1:{number}" if number else ""
        yield {"kind": "endpoint", "service": service, "port": port, "address": address, "hosts": ingress_hosts}


def query_locks(request: FleetRequest) -> dict[str, Any]:
    """Who holds the fleet's lease on which host."""
    from unictl.execution import queries
    from unictl.hosts.connector import connect_host

    fleet = require_fleet(read_files(request))
    world = queries.live_state(fleet, connect_host)
    return {
        "format_version": FORMAT_VERSION,
        "fleet": fleet.mark,
        "hosts": [status_document.host_row(host_survey) for _, host_survey in sorted(world.items())],
    }


def end_holder(request: FleetRequest, host: str) -> bool:
    """End the process that holds the fleet's lease on a host; False where nobody does."""
    from unictl.execution import queries
    from unictl.hosts.connector import connect_host

    return queries.end_lease_holder(require_fleet(read_files(request)), connect_host, host)


def read_logs(
    request: FleetRequest, selector: str, *, previous: bool = False, lines: int = 0, follow: bool = False
) -> Iterator[str]:
    """The console of an instance, or of every instance of a service, line by line as they come."""
    from unictl.execution import queries
    from unictl.hosts.connector import connect_host

    fleet = require_fleet(read_files(request))
    return queries.follow_logs(fleet, connect_host, selector, previous=previous, lines=lines, follow=follow)
