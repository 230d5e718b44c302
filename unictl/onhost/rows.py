"""The row of an instance in a survey: what its record and its marks say, and how it is.

Nothing in it is of another kind than it has to be; of a record that does not hold that, the row says what is wrong."""

from __future__ import annotations

from . import claims, lives, reading, records, sealed, units, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RUN = ("memory", "overhead", "cpus", "forwards", "volumes", "images")
_RECORD = ("service", "ordinal", "launch", "fingerprint", "commit", "protect", "resolved")
_MARKS = ("protect", "commit", "proven", "checks")


def row(root: records.Root, owner: str, key: str, full: dict[str, str], kept: bool) -> dict[str, Any]:
    """A short one; spec and launch only where the fingerprint is not the wished one. ``kept``: its keeper lives."""
    try:
        return _read(root, owner, key, full, kept)
    except wire.Problem as problem:
        if problem.kind == "newer-format":
            # Not damaged: whoever replaced it would undo what a newer unictl did.
            raise
        return _damaged(root, owner, key, problem.text)
    except OSError as error:
        return _damaged(root, owner, key, f"{error.filename} cannot be read: {error.strerror}")


def _read(root: records.Root, owner: str, key: str, full: dict[str, str], kept: bool) -> dict[str, Any]:
    path = root.instance(owner, key) + "/record.json"
    record = sealed.read(root.instance(owner, key))
    if record is None:
        raise reading.odd_content(path, "it is gone")
    if reading.number(record.get("format")) and record["format"] > records.FORMAT:
        raise records.newer(f"the record of {key}", record)
    if not _sound(record, key):
        raise reading.odd_content(path, f"the record of {key}")
    found = {name: record.get(name) for name in ("name", "generation", *_RECORD)}
    found.update({name: record["run"].get(name) for name in _RUN})
    found.update(_marks(root.instance(owner, key) + "/marks.json"))
    found.update(lives.state(root, owner, key, kept))
    found["supervision"] = units.supervision(root, owner, key)
    if not units.at_boot(root, owner, key):
        found["at_boot"] = False
    found["since"] = found["since"] or record.get("at", 0.0)
    wished = full.get(record["name"]) or full.get(str(record.get("service")))
    if wished and wished != record["fingerprint"]:
        found["spec"] = record.get("spec")
        found["launched"] = {"restart": record.get("restart"), "run": record["run"]}
    return found


def _sound(record: dict[str, Any], key: str) -> bool:
    """Whether it is the record of that instance, and everything in it of its kind."""
    resolved = record.get("resolved")
    return (
        reading.texts([record.get(name) for name in ("name", "generation", "service", "fingerprint", "commit")])
        and f"{record['name']}.{record['generation']}" == key
        and all(reading.number(record.get(name)) for name in ("format", "ordinal", "launch"))
        and isinstance(record.get("protect"), bool)
        and (resolved is None or (isinstance(resolved, dict) and reading.texts(list(resolved.values()))))
        and isinstance(record.get("spec"), (dict, type(None)))
        and isinstance(record.get("at", 0.0), (int, float))
        and claims.sound(record.get("run"))
        and record["run"].keys() >= set(_RUN)
    )


def _marks(path: str) -> dict[str, Any]:
    told = reading.read_object(path) or {}
    found = {name: told[name] for name in _MARKS if name in told}
    if (
        all(isinstance(found.get(name, False), bool) for name in ("protect", "proven"))
        and isinstance(found.get("commit", ""), str)
        and (found.get("checks") is None or reading.texts(found["checks"]))
    ):
        return found
    raise reading.odd_content(path, "the marks of an instance")


def _damaged(root: records.Root, owner: str, key: str, why: str) -> dict[str, Any]:
    name, _, generation = key.partition(".")
    service, _, ordinal = name.rpartition("-")
    return {
        "name": name,
        "generation": generation,
        "service": service,
        "ordinal": int(ordinal),
        "launch": 0,
        "fingerprint": "",
        "state": "damaged",
        "protect": _protected(root.instance(owner, key)),
        "why": why,
    }


def _protected(folder: str) -> bool:
    """Whether it is marked so, as far as can be read; where nothing can be, nobody may say that it is not."""
    for name in ("/marks.json", "/record.json"):
        notes: reading.Notes = []
        told = reading.noted(notes, reading.read_object, folder + name)
        if notes or (told or {}).get("protect") is True:
            return True
        if told and isinstance(told.get("protect"), bool):
            return False
    return True
