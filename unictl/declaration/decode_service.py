"""From one merged service to a Service: short forms become long ones, texts become literals and references."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from unictl.declaration.fields import (
    FieldReader,
    FieldTable,
    as_is,
    as_share,
    as_text,
    as_text_map,
    as_texts,
    as_whole_number,
    parsed_by,
)
from unictl.declaration.source_tree import Map
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import File, OnRequestActivation, Order, Placement, Port, Probe, Publication, Service, Update
from unictl.fleet.quantities import parse_duration, parse_memory
from unictl.fleet.references import Text, parse_text

_CHECK_KINDS = ("http", "tcp", "console")


def _decode_args(reader: FieldReader, value: Any, path: DocumentPath) -> tuple[Text, ...]:
    return tuple(parse_text(item) for item, _ in reader.items(value, path))


def _decode_environment(reader: FieldReader, value: Any, path: DocumentPath) -> dict[str, Text]:
    members = reader.read_fields(value, path, dict.fromkeys(value, parsed_by(parse_text)))
    return {key: members[key] for key in sorted(members)}


def _decode_files(reader: FieldReader, value: Any, path: DocumentPath) -> tuple[File, ...]:
    files = []
    for name, member, member_path in reader.entries(value, path):
        fields = reader.read_fields(member, member_path, {"from": as_text, "secret": as_text})
        if isinstance(member, Map) and len({"from", "secret"} & {*member}) != 1:
            reader.report(
                "wrong-value",
                member_path,
                f"the file {name!r} is made of one thing: `from` or `secret`",
                at_key=True,
            )
        files.append(File(path=name, source=fields.get("from", ""), secret=fields.get("secret", "")))
    return tuple(files)


def _decode_ports(reader: FieldReader, value: Any, path: DocumentPath) -> tuple[Port, ...]:
    members = reader.read_fields(value, path, dict.fromkeys(value, as_text))
    return tuple(_decode_port(name, members[name]) for name in sorted(members))


def _decode_port(name: str, written: str) -> Port:
    number, _, protocol = written.partition("/")
    return Port(name=name, number=int(float(number)), udp=protocol == "udp")


_PUBLICATION: FieldTable = {"port": as_whole_number, "to": as_text, "host": as_text, "sni": as_text, "tls": as_text}


def _decode_publications(reader: FieldReader, value: Any, path: DocumentPath) -> tuple[Publication, ...]:
    if isinstance(value, Map):
        members = reader.read_fields(value, path, dict.fromkeys(value, as_text))
        return tuple(Publication(port=int(port), to=members[port]) for port in sorted(members, key=int))
    return tuple(
        Publication(**{"port": 0, "to": "", **reader.read_fields(item, below, _PUBLICATION)})
        for item, below in reader.items(value, path)
    )


def _decode_tcp(reader: FieldReader, value: Any, path: DocumentPath) -> dict[str, Any]:
    return reader.read_fields(value, path, {"send": as_text, "expect": as_text})


_PROBE: FieldTable = {
    "http": as_text,
    "tcp": _decode_tcp,
    "console": as_text,
    "port": as_text,
    "interval": parsed_by(parse_duration),
    "timeout": parsed_by(parse_duration),
    "min_healthy_time": parsed_by(parse_duration),
    "healthy_deadline": parsed_by(parse_duration),
}


def _decode_checks(reader: FieldReader, value: Any, path: DocumentPath) -> tuple[Probe, ...]:
    probes = (_decode_check(reader, item, item_path) for item, item_path in reader.items(value, path))
    return tuple(probe for probe in probes if probe)


def _decode_check(reader: FieldReader, value: Any, path: DocumentPath) -> Probe | None:
    fields = reader.read_fields(value, path, _PROBE)
    kinds = [kind for kind in _CHECK_KINDS if isinstance(value, Map) and kind in value]
    if len(kinds) != 1:
        summary = f"a check is one of http, tcp and console; {' and '.join(f'`{kind}`' for kind in kinds)} meet here"
        hint = "Put them into a list of checks; where one comes from a template, take it away with null."
        if not kinds:
            summary, hint = (
                "the check does not say what to ask",
                "Add `http: /path`, `tcp: {send, expect}` or `console: TEXT`.",
            )
        reader.report("wrong-value", path, summary, hint, at_key=True)
        return None
    kind_values = {kind: fields.pop(kind) for kind in kinds if kind in fields}
    fields |= kind_values.get("tcp", {})
    return Probe(kind=kinds[0], path=kind_values.get("http", ""), pattern=kind_values.get("console", ""), **fields)


_UPDATE: FieldTable = {
    "max_parallel": as_share,
    "canary": as_share,
    "order": parsed_by(Order),
    "auto_revert": as_is,
    "progress_deadline": parsed_by(parse_duration),
    "drain": parsed_by(parse_duration),
    "min_available": as_share,
}


def _decode_update(reader: FieldReader, value: Any, path: DocumentPath) -> Update:
    return Update(**reader.read_fields(value, path, _UPDATE))


def _decode_ratio(_: FieldReader, value: Any, __: DocumentPath) -> float:
    return float(value)


_PLACEMENT: FieldTable = {
    "hosts": as_text,
    "require": as_text_map,
    "spread": as_text,
    "apart_from": as_texts,
    "cpu_ratio": _decode_ratio,
}


def _decode_placement(reader: FieldReader, value: Any, path: DocumentPath) -> Placement:
    return Placement(**reader.read_fields(value, path, _PLACEMENT))


def _decode_activation(reader: FieldReader, value: Any, path: DocumentPath) -> OnRequestActivation | None:
    if not isinstance(value, Map):
        return None
    below = (*path, "on_request")
    table: FieldTable = {"idle": parsed_by(parse_duration), "start_timeout": parsed_by(parse_duration)}
    return OnRequestActivation(**{"idle": 0, **reader.read_fields(value.get("on_request"), below, table)})


_SERVICE: FieldTable = {
    "image": as_text,
    "kind": as_text,
    "hypervisor": as_text,
    "machine": as_text,
    "replicas": as_whole_number,
    "memory": parsed_by(parse_memory),
    "cpus": as_whole_number,
    "network": as_texts,
    "args": _decode_args,
    "environment": _decode_environment,
    "files": _decode_files,
    "volumes": as_text_map,
    "ports": _decode_ports,
    "publish": _decode_publications,
    "needs": as_texts,
    "health": _decode_checks,
    "update": _decode_update,
    "placement": _decode_placement,
    "restart": as_text,
    "activation": _decode_activation,
    "protect": as_is,
    "was": as_text,
    "labels": as_text_map,
    "owners": as_texts,
}
SERVICE_KEYS = tuple(_SERVICE)
"""The keys of a service that become fields."""


def _with_only_port(probe: Probe, ports: tuple[Port, ...]) -> Probe:
    """Where a check names no port and there is but one, that is meant."""
    possible = [port for port in ports if not port.udp]
    if probe.port or probe.kind == "console" or len(possible) != 1:
        return probe
    return replace(probe, port=possible[0].name)


def service_decoder(default_network: str) -> Callable[[FieldReader, str, Any, DocumentPath], Service]:
    """How one service is read; those that name no network get ``default_network``."""

    def decode_service(reader: FieldReader, name: str, value: Any, path: DocumentPath) -> Service:
        reader.require(value, path, "image", f"the service {name!r}")
        field_values = {"image": "", "network": (default_network,), **reader.read_fields(value, path, _SERVICE)}
        field_values["health"] = tuple(
            _with_only_port(probe, field_values.get("ports", ())) for probe in field_values.get("health", ())
        )
        return Service(name=name, **field_values)

    return decode_service
