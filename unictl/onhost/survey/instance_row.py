"""The row of one instance in a survey: its record, its marks and its state.

Every field has the type that the reader expects; a record that does not is reported as damaged, with the reason.
"""

from __future__ import annotations

from ..instances import claims, instance_state, record_file
from ..protocol import frames
from ..storage import guarded_read, layout
from ..systemd import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RUN = ("memory", "overhead", "cpus", "forwards", "volumes", "images")
_RECORD = ("service", "ordinal", "launch", "fingerprint", "commit", "protect", "resolved")
_MARKS = ("protect", "commit", "proven", "checks")


def row(root: layout.Root, owner: str, key: str, full: dict[str, str], kept: bool) -> dict[str, Any]:
    """A short one; spec and launch only where the fingerprint is not the wished one. ``kept``: its keeper lives."""
    try:
        return _read(root, owner, key, full, kept)
    except frames.Problem as problem:
        if problem.kind == "newer-format":
            # Not damaged: whoever replaced it would undo what a newer unictl did.
            raise
        return _damaged(root, owner, key, problem.text)
    except OSError as error:
        return _damaged(root, owner, key, f"{error.filename} cannot be read: {error.strerror}")


def _read(root: layout.Root, owner: str, key: str, full: dict[str, str], kept: bool) -> dict[str, Any]:
    path = root.instance(owner, key) + "/record.json"
    record = record_file.read(root.instance(owner, key))
    if record is None:
        raise guarded_read.odd_content(path, "it is gone")
    if guarded_read.number(record.get("format")) and record["format"] > layout.FORMAT:
        raise layout.newer(f"the record of {key}", record)
    if not _sound(record, key):
        raise guarded_read.odd_content(path, f"the record of {key}")
    found = {name: record.get(name) for name in ("name", "generation", *_RECORD)}
    found.update({name: record["run"].get(name) for name in _RUN})
    found.update(_marks(root.instance(owner, key) + "/marks.json"))
    found.update(instance_state.state(root, owner, key, kept))
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
        guarded_read.texts([record.get(name) for name in ("name", "generation", "service", "fingerprint", "commit")])
        and f"{record['name']}.{record['generation']}" == key
        and all(guarded_read.number(record.get(name)) for name in ("format", "ordinal", "launch"))
        and isinstance(record.get("protect"), bool)
        and (resolved is None or (isinstance(resolved, dict) and guarded_read.texts(list(resolved.values()))))
        and isinstance(record.get("spec"), (dict, type(None)))
        and isinstance(record.get("at", 0.0), (int, float))
        and claims.sound(record.get("run"))
        and record["run"].keys() >= set(_RUN)
    )


def _marks(path: str) -> dict[str, Any]:
    told = guarded_read.read_object(path) or {}
    found = {name: told[name] for name in _MARKS if name in told}
    if (
        all(isinstance(found.get(name, False), bool) for name in ("protect", "proven"))
        and isinstance(found.get("commit", ""), str)
        and (found.get("checks") is None or guarded_read.texts(found["checks"]))
    ):
        return found
    raise guarded_read.odd_content(path, "the marks of an instance")


def _damaged(root: layout.Root, owner: str, key: str, why: str) -> dict[str, Any]:
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
        notes: guarded_read.Notes = []
        told = guarded_read.noted(notes, guarded_read.read_object, folder + name)
        if notes or (told or {}).get("protect") is True:
            return True
        if told and isinstance(told.get("protect"), bool):
            return False
    return True
