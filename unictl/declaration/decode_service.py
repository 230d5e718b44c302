"""From one merged service to a Service: short forms become long ones, texts become literals and references."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from unictl.declaration.fields import Reader, Table, by, same, share_of, text, text_map, texts, whole
from unictl.declaration.source_tree import Map
from unictl.diagnostics.place import Path
from unictl.fleet.model import File, OnRequest, Order, Placement, Port, Probe, Publish, Service, Update
from unictl.fleet.quantities import duration, memory
from unictl.fleet.references import Text, parse

_CHECKS = ("http", "tcp", "console")


def _args(reader: Reader, value: Any, path: Path) -> tuple[Text, ...]:
    return tuple(parse(item) for item, _ in reader.items(value, path))


def _environment(reader: Reader, value: Any, path: Path) -> dict[str, Text]:
    members = reader.fields(value, path, dict.fromkeys(value, by(parse)))
    return {key: members[key] for key in sorted(members)}


def _files(reader: Reader, value: Any, path: Path) -> tuple[File, ...]:
    found = []
    for name, member, below in reader.entries(value, path):
        fields = reader.fields(member, below, {"from": text, "secret": text})
        if isinstance(member, Map) and len({"from", "secret"} & {*member}) != 1:
            reader.tell(
                "wrong-value", below, f"the file {name!r} is made of one thing: `from` or `secret`", about_key=True
            )
        found.append(File(path=name, source=fields.get("from", ""), secret=fields.get("secret", "")))
    return tuple(found)


def _ports(reader: Reader, value: Any, path: Path) -> tuple[Port, ...]:
    members = reader.fields(value, path, dict.fromkeys(value, text))
    return tuple(_port(name, members[name]) for name in sorted(members))


def _port(name: str, written: str) -> Port:
    number, _, protocol = written.partition("/")
    return Port(name=name, number=int(float(number)), udp=protocol == "udp")


_PUBLICATION: Table = {"port": whole, "to": text, "host": text, "sni": text, "tls": text}


def _publish(reader: Reader, value: Any, path: Path) -> tuple[Publish, ...]:
    if isinstance(value, Map):
        members = reader.fields(value, path, dict.fromkeys(value, text))
        return tuple(Publish(port=int(port), to=members[port]) for port in sorted(members, key=int))
    return tuple(
        Publish(**{"port": 0, "to": "", **reader.fields(item, below, _PUBLICATION)})
        for item, below in reader.items(value, path)
    )


def _tcp(reader: Reader, value: Any, path: Path) -> dict[str, Any]:
    return reader.fields(value, path, {"send": text, "expect": text})


_PROBE: Table = {
    "http": text,
    "tcp": _tcp,
    "console": text,
    "port": text,
    "interval": by(duration),
    "timeout": by(duration),
    "min_healthy_time": by(duration),
    "healthy_deadline": by(duration),
}


def _health(reader: Reader, value: Any, path: Path) -> tuple[Probe, ...]:
    found = (_probe(reader, item, below) for item, below in reader.items(value, path))
    return tuple(probe for probe in found if probe)


def _probe(reader: Reader, value: Any, path: Path) -> Probe | None:
    fields = reader.fields(value, path, _PROBE)
    kinds = [kind for kind in _CHECKS if isinstance(value, Map) and kind in value]
    if len(kinds) != 1:
        said = f"a check is one of http, tcp and console; {' and '.join(f'`{kind}`' for kind in kinds)} meet here"
        hint = "Put them into a list of checks; where one comes from a template, take it away with null."
        if not kinds:
            said, hint = (
                "the check does not say what to ask",
                "Add `http: /path`, `tcp: {send, expect}` or `console: TEXT`.",
            )
        reader.tell("wrong-value", path, said, hint, about_key=True)
        return None
    given = {kind: fields.pop(kind) for kind in kinds if kind in fields}
    fields |= given.get("tcp", {})
    return Probe(kind=kinds[0], path=given.get("http", ""), pattern=given.get("console", ""), **fields)


_UPDATE: Table = {
    "max_parallel": share_of,
    "canary": share_of,
    "order": by(Order),
    "auto_revert": same,
    "progress_deadline": by(duration),
    "drain": by(duration),
    "min_available": share_of,
}


def _update(reader: Reader, value: Any, path: Path) -> Update:
    return Update(**reader.fields(value, path, _UPDATE))


def _ratio(_: Reader, value: Any, __: Path) -> float:
    return float(value)


_PLACEMENT: Table = {"hosts": text, "require": text_map, "spread": text, "apart_from": texts, "cpu_ratio": _ratio}


def _placement(reader: Reader, value: Any, path: Path) -> Placement:
    return Placement(**reader.fields(value, path, _PLACEMENT))


def _activation(reader: Reader, value: Any, path: Path) -> OnRequest | None:
    if not isinstance(value, Map):
        return None
    below = (*path, "on_request")
    table: Table = {"idle": by(duration), "start_timeout": by(duration)}
    return OnRequest(**{"idle": 0, **reader.fields(value.get("on_request"), below, table)})


_SERVICE: Table = {
    "image": text,
    "kind": text,
    "hypervisor": text,
    "machine": text,
    "replicas": whole,
    "memory": by(memory),
    "cpus": whole,
    "network": texts,
    "args": _args,
    "environment": _environment,
    "files": _files,
    "volumes": text_map,
    "ports": _ports,
    "publish": _publish,
    "needs": texts,
    "health": _health,
    "update": _update,
    "placement": _placement,
    "restart": text,
    "activation": _activation,
    "protect": same,
    "was": text,
    "labels": text_map,
    "owners": texts,
}
KEYS = tuple(_SERVICE)
"""The keys of a service that become fields."""


def _asked(probe: Probe, ports: tuple[Port, ...]) -> Probe:
    """Where a check names no port and there is but one, that is meant."""
    possible = [port for port in ports if not port.udp]
    if probe.port or probe.kind == "console" or len(possible) != 1:
        return probe
    return replace(probe, port=possible[0].name)


def service(default_network: str) -> Callable[[Reader, str, Any, Path], Service]:
    """How one service is read; those that name no network get ``default_network``."""

    def read(reader: Reader, name: str, value: Any, path: Path) -> Service:
        reader.need(value, path, "image", f"the service {name!r}")
        found = {"image": "", "network": (default_network,), **reader.fields(value, path, _SERVICE)}
        found["health"] = tuple(_asked(probe, found.get("ports", ())) for probe in found.get("health", ()))
        return Service(name=name, **found)

    return read
