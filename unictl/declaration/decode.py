"""From the merged tree to a Fleet.

A value that could not be read stays at its default and is reported; decoding never stops at the first problem.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from unictl.declaration.decode_service import service
from unictl.declaration.fields import Reader, Table, by, same, share_of, text, text_map, texts, whole
from unictl.declaration.source_tree import Map
from unictl.diagnostics.place import Path
from unictl.fleet import connect_url, failure_scenarios
from unictl.fleet.model import (
    Build,
    Expectation,
    Fleet,
    Host,
    Image,
    Keep,
    Network,
    Notify,
    Policy,
    Secret,
    Source,
    Volume,
)
from unictl.fleet.quantities import Share, memory, share

T = TypeVar("T")
_KEEP: Table = {"retired": whole, "console": by(memory), "images": whole, "ledger": by(memory)}


def _keep(reader: Reader, value: Any, path: Path) -> Keep:
    return Keep(**reader.fields(value, path, _KEEP))


def _reserve(_: Reader, value: Any, __: Path) -> int | Share:
    return share(value) if value.endswith("%") else memory(value)


_HOST: Table = {
    "connect": by(connect_url.parse),
    "address": text,
    "become": same,
    "root": text,
    "zone": text,
    "labels": text_map,
    "memory": by(memory),
    "cpus": whole,
    "reserve": _reserve,
    "hypervisors": texts,
    "ingress": same,
    "drain": same,
    "lost": same,
    "keep": _keep,
}
_NETWORK: Table = {
    "mode": text,
    "subnet": text,
    "gateway": text,
    "dns": text,
    "bridge": text,
    "vni": whole,
    "mtu": whole,
    "endpoints": text,
}
_VOLUME: Table = {"size": by(memory), "host": text, "accept_loss": same, "snapshot": same}
_SECRET: Table = {"env": text, "file": text, "command": texts, "version": whole, "visible_on_host": same}
_SOURCE: Table = {"url": text, "sha256": text}
_BUILD: Table = {"run": texts, "inputs": texts}
_SIGNED: Table = {"commits": texts, "images": texts}
_NOTIFY: Table = {"run": texts, "events": texts}


def _source(reader: Reader, value: Any, path: Path) -> Source:
    if isinstance(value, Map):
        reader.need(value, path, "url", f"`{path[-1]}`")
        return Source(**reader.fields(value, path, _SOURCE))
    return Source(url=str(value)) if value.startswith("https://") else Source(path=str(value))


def _build(reader: Reader, value: Any, path: Path) -> Build:
    reader.need(value, path, "run", "`build`")
    return Build(**{"run": (), **reader.fields(value, path, _BUILD)})


_IMAGE: Table = {
    "guest": text,
    "version": text,
    "kernel": _source,
    "initrd": _source,
    "disk": _source,
    "oci": text,
    "build": _build,
    "sha256": text,
}
_FILES = ("kernel", "initrd", "disk")


def _signed(reader: Reader, value: Any, path: Path) -> Mapping[str, Any]:
    return reader.fields(value, path, _SIGNED)


_POLICY: Table = {
    "max_destroy": share_of,
    "max_changes": share_of,
    "require_clean_tree": same,
    "signed": _signed,
    "require_health": same,
}


def _host(reader: Reader, name: str, value: Any, path: Path) -> Host:
    return Host(name=name, **reader.fields(value, path, _HOST))


def _network(reader: Reader, name: str, value: Any, path: Path) -> Network:
    found = reader.fields(value, path, _NETWORK)
    # What the language gives a user network by default means nothing on the others.
    other = {"subnet": "", "endpoints": ""} if found.get("mode", "user") != "user" else {}
    return Network(name=name, **{**other, **found})


def _image(reader: Reader, name: str, value: Any, path: Path) -> Image:
    reader.need(value, path, "guest", f"the image {name!r}")
    found = {"guest": "", **reader.fields(value, path, _IMAGE)}
    digest = found.pop("sha256", "")
    bare = [key for key in _FILES if isinstance(found.get(key), Source) and found[key].url and not found[key].sha256]
    if digest and len(bare) == 1:
        found[bare[0]] = Source(url=found[bare[0]].url, sha256=digest)
    elif digest and not any((*path, key) in reader.spoiled for key in _FILES):
        why = "two files are URLs" if bare else "no file of the image is an https URL"
        hint = "Write {url, sha256} at each." if bare else "Digests of files in the repository stand in fleet.lock."
        reader.tell("wrong-value", (*path, "sha256"), f"`sha256`: {why}", hint, about_key=True)
    return Image(name=name, **found)


def _volume(reader: Reader, name: str, value: Any, path: Path) -> Volume:
    reader.need(value, path, "size", f"the volume {name!r}")
    return Volume(**{"name": name, "size": 0, **reader.fields(value, path, _VOLUME)})


def _secret(reader: Reader, name: str, value: Any, path: Path) -> Secret:
    return Secret(name=name, **reader.fields(value, path, _SECRET))


def _section(tree: Map, reader: Reader, key: str, make: Callable[[Reader, str, Any, Path], T]) -> dict[str, T]:
    return {name: make(reader, name, value, path) for name, value, path in reader.entries(tree.get(key), (key,))}


def _policy(reader: Reader, value: Any) -> Policy:
    found = reader.fields(value, ("policy",), _POLICY)
    signed = found.pop("signed", {})
    return Policy(signed_commits=signed.get("commits", ()), signed_images=signed.get("images", ()), **found)


def _notify(reader: Reader, value: Any) -> tuple[Notify, ...]:
    if value is None:
        return ()
    found = []
    for item, path in reader.items(value, ("notify",)):
        reader.need(item, path, "run", "`notify`")
        found.append(Notify(**{"run": (), **reader.fields(item, path, _NOTIFY)}))
    return tuple(found)


def _counts(reader: Reader, value: Any, path: Path) -> dict[str, int]:
    members = reader.fields(value, path, dict.fromkeys(value, whole))
    return {key: members[key] for key in sorted(members)}


def _shares(reader: Reader, value: Any, path: Path) -> dict[str, Share]:
    members = reader.fields(value, path, dict.fromkeys(value, share_of))
    return {key: members[key] for key in sorted(members)}


_TEST: Table = {
    "lose": by(failure_scenarios.parse),
    "without": texts,
    "scale": _counts,
    "healthy": _shares,
    "fits": same,
    "apart": texts,
    "no_plan_destroys": texts,
}


def _test(reader: Reader, name: str, value: Any, path: Path) -> Expectation:
    return Expectation(name=name, **reader.fields(value, path, _TEST))


def _identity(reader: Reader, value: Any) -> dict[str, str]:
    """Name, id and former name."""
    path: Path = ("fleet",)
    if value is None:
        hint = "Begin the fleet file with `fleet: NAME`."
        reader.tell("missing-key", path, "the fleet has no name", hint)
        return {"name": ""}
    if isinstance(value, str):
        return {"name": str(value)}
    reader.need(value, path, "name", "`fleet`")
    return {"name": "", **reader.fields(value, path, {"name": text, "id": text, "was": text})}


def fleet(tree: Map, environment: str) -> tuple[Fleet, Reader]:
    """The Fleet of a merged tree, and the Reader with what had to be left out."""
    reader = Reader(tree)
    given = reader.fields(tree, (), {"default_network": text})
    networks = _section(tree, reader, "networks", _network)
    made = Fleet(
        **_identity(reader, tree.get("fleet")),
        **given,
        environment=environment,
        hosts=_section(tree, reader, "hosts", _host),
        networks=networks if "user" in networks else {**networks, "user": Network(name="user")},
        images=_section(tree, reader, "images", _image),
        volumes=_section(tree, reader, "volumes", _volume),
        secrets=_section(tree, reader, "secrets", _secret),
        services=_section(tree, reader, "services", service(given.get("default_network", "user"))),
        policy=_policy(reader, tree.get("policy")),
        tests=_section(tree, reader, "tests", _test),
        notify=_notify(reader, tree.get("notify")),
    )
    return made, reader
