"""From the merged tree to a Fleet.

A value that could not be read stays at its default and is reported; decoding never stops at the first problem.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from unictl.declaration.decode_service import service_decoder
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
from unictl.fleet import connect_url, failure_scenarios
from unictl.fleet.model import (
    Build,
    Fleet,
    FleetTest,
    Host,
    Image,
    Network,
    Notification,
    Policy,
    Retention,
    Secret,
    Source,
    Volume,
)
from unictl.fleet.quantities import Share, parse_memory, parse_share

T = TypeVar("T")
_KEEP: FieldTable = {
    "retired": as_whole_number,
    "console": parsed_by(parse_memory),
    "images": as_whole_number,
    "ledger": parsed_by(parse_memory),
}


def _decode_retention(reader: FieldReader, value: Any, path: DocumentPath) -> Retention:
    return Retention(**reader.read_fields(value, path, _KEEP))


def _decode_reserve(_: FieldReader, value: Any, __: DocumentPath) -> int | Share:
    return parse_share(value) if value.endswith("%") else parse_memory(value)


_HOST: FieldTable = {
    "connect": parsed_by(connect_url.parse_connection_url),
    "address": as_text,
    "become": as_is,
    "root": as_text,
    "zone": as_text,
    "labels": as_text_map,
    "memory": parsed_by(parse_memory),
    "cpus": as_whole_number,
    "reserve": _decode_reserve,
    "hypervisors": as_texts,
    "ingress": as_is,
    "drain": as_is,
    "lost": as_is,
    "keep": _decode_retention,
}
_NETWORK: FieldTable = {
    "mode": as_text,
    "subnet": as_text,
    "gateway": as_text,
    "dns": as_text,
    "bridge": as_text,
    "vni": as_whole_number,
    "mtu": as_whole_number,
    "endpoints": as_text,
}
_VOLUME: FieldTable = {"size": parsed_by(parse_memory), "host": as_text, "accept_loss": as_is, "snapshot": as_is}
_SECRET: FieldTable = {
    "env": as_text,
    "file": as_text,
    "command": as_texts,
    "version": as_whole_number,
    "visible_on_host": as_is,
}
_SOURCE: FieldTable = {"url": as_text, "sha256": as_text}
_BUILD: FieldTable = {"run": as_texts, "inputs": as_texts}
_SIGNED: FieldTable = {"commits": as_texts, "images": as_texts}
_NOTIFY: FieldTable = {"run": as_texts, "events": as_texts}


def _decode_source(reader: FieldReader, value: Any, path: DocumentPath) -> Source:
    if isinstance(value, Map):
        reader.require(value, path, "url", f"`{path[-1]}`")
        return Source(**reader.read_fields(value, path, _SOURCE))
    return Source(url=str(value)) if value.startswith("https://") else Source(path=str(value))


def _decode_build(reader: FieldReader, value: Any, path: DocumentPath) -> Build:
    reader.require(value, path, "run", "`build`")
    return Build(**{"run": (), **reader.read_fields(value, path, _BUILD)})


_IMAGE: FieldTable = {
    "guest": as_text,
    "version": as_text,
    "kernel": _decode_source,
    "initrd": _decode_source,
    "disk": _decode_source,
    "oci": as_text,
    "build": _decode_build,
    "sha256": as_text,
}
_FILES = ("kernel", "initrd", "disk")


def _decode_signers(reader: FieldReader, value: Any, path: DocumentPath) -> Mapping[str, Any]:
    return reader.read_fields(value, path, _SIGNED)


_POLICY: FieldTable = {
    "max_destroy": as_share,
    "max_changes": as_share,
    "require_clean_tree": as_is,
    "signed": _decode_signers,
    "require_health": as_is,
}


def _decode_host(reader: FieldReader, name: str, value: Any, path: DocumentPath) -> Host:
    return Host(name=name, **reader.read_fields(value, path, _HOST))


def _decode_network(reader: FieldReader, name: str, value: Any, path: DocumentPath) -> Network:
    field_values = reader.read_fields(value, path, _NETWORK)
    # What the language gives a user network by default means nothing on the others.
    defaults = {"subnet": "", "endpoints": ""} if field_values.get("mode", "user") != "user" else {}
    return Network(name=name, **{**defaults, **field_values})


def _decode_image(reader: FieldReader, name: str, value: Any, path: DocumentPath) -> Image:
    reader.require(value, path, "guest", f"the image {name!r}")
    field_values = {"guest": "", **reader.read_fields(value, path, _IMAGE)}
    digest = field_values.pop("sha256", "")
    parts_without_digest = [
        key
        for key in _FILES
        if isinstance(field_values.get(key), Source) and field_values[key].url and not field_values[key].sha256
    ]
    if digest and len(parts_without_digest) == 1:
        field_values[parts_without_digest[0]] = Source(url=field_values[parts_without_digest[0]].url, sha256=digest)
    elif digest and not any((*path, key) in reader.invalid_paths for key in _FILES):
        reason = "two files are URLs" if parts_without_digest else "no file of the image is an https URL"
        hint = (
            "Write {url, sha256} at each."
            if parts_without_digest
            else "Digests of files in the repository stand in fleet.lock."
        )
        reader.report("wrong-value", (*path, "sha256"), f"`sha256`: {reason}", hint, at_key=True)
    return Image(name=name, **field_values)


def _decode_volume(reader: FieldReader, name: str, value: Any, path: DocumentPath) -> Volume:
    reader.require(value, path, "size", f"the volume {name!r}")
    return Volume(**{"name": name, "size": 0, **reader.read_fields(value, path, _VOLUME)})


def _decode_secret(reader: FieldReader, name: str, value: Any, path: DocumentPath) -> Secret:
    return Secret(name=name, **reader.read_fields(value, path, _SECRET))


def _decode_section(
    tree: Map, reader: FieldReader, key: str, decode_entry: Callable[[FieldReader, str, Any, DocumentPath], T]
) -> dict[str, T]:
    return {
        name: decode_entry(reader, name, value, path) for name, value, path in reader.entries(tree.get(key), (key,))
    }


def _decode_policy(reader: FieldReader, value: Any) -> Policy:
    field_values = reader.read_fields(value, ("policy",), _POLICY)
    signers = field_values.pop("signed", {})
    return Policy(signed_commits=signers.get("commits", ()), signed_images=signers.get("images", ()), **field_values)


def _decode_notifications(reader: FieldReader, value: Any) -> tuple[Notification, ...]:
    if value is None:
        return ()
    notifications = []
    for item, path in reader.items(value, ("notify",)):
        reader.require(item, path, "run", "`notify`")
        notifications.append(Notification(**{"run": (), **reader.read_fields(item, path, _NOTIFY)}))
    return tuple(notifications)


def _decode_counts(reader: FieldReader, value: Any, path: DocumentPath) -> dict[str, int]:
    members = reader.read_fields(value, path, dict.fromkeys(value, as_whole_number))
    return {key: members[key] for key in sorted(members)}


def _decode_shares(reader: FieldReader, value: Any, path: DocumentPath) -> dict[str, Share]:
    members = reader.read_fields(value, path, dict.fromkeys(value, as_share))
    return {key: members[key] for key in sorted(members)}


_TEST: FieldTable = {
    "lose": parsed_by(failure_scenarios.parse_host_loss),
    "without": as_texts,
    "scale": _decode_counts,
    "healthy": _decode_shares,
    "fits": as_is,
    "apart": as_texts,
    "no_plan_destroys": as_texts,
}


def _decode_test(reader: FieldReader, name: str, value: Any, path: DocumentPath) -> FleetTest:
    return FleetTest(name=name, **reader.read_fields(value, path, _TEST))


def _decode_identity(reader: FieldReader, value: Any) -> dict[str, str]:
    """Name, id and former name."""
    path: DocumentPath = ("fleet",)
    if value is None:
        hint = "Begin the fleet file with `fleet: NAME`."
        reader.report("missing-key", path, "the fleet has no name", hint)
        return {"name": ""}
    if isinstance(value, str):
        return {"name": str(value)}
    reader.require(value, path, "name", "`fleet`")
    return {"name": "", **reader.read_fields(value, path, {"name": as_text, "id": as_text, "was": as_text})}


def decode_fleet(tree: Map, environment: str) -> tuple[Fleet, FieldReader]:
    """The Fleet of a merged tree, and the Reader with what had to be left out."""
    reader = FieldReader(tree)
    settings = reader.read_fields(tree, (), {"default_network": as_text})
    networks = _decode_section(tree, reader, "networks", _decode_network)
    decoded = Fleet(
        **_decode_identity(reader, tree.get("fleet")),
        **settings,
        environment=environment,
        hosts=_decode_section(tree, reader, "hosts", _decode_host),
        networks=networks if "user" in networks else {**networks, "user": Network(name="user")},
        images=_decode_section(tree, reader, "images", _decode_image),
        volumes=_decode_section(tree, reader, "volumes", _decode_volume),
        secrets=_decode_section(tree, reader, "secrets", _decode_secret),
        services=_decode_section(tree, reader, "services", service_decoder(settings.get("default_network", "user"))),
        policy=_decode_policy(reader, tree.get("policy")),
        tests=_decode_section(tree, reader, "tests", _decode_test),
        notify=_decode_notifications(reader, tree.get("notify")),
    )
    return decoded, reader
