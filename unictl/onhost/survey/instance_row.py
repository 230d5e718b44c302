"""The row of one instance in a survey: its record, its marks and its state.

Every field has the type that the reader expects; a record that does not is reported as damaged, with the reason.
"""

from __future__ import annotations

from .. import errors
from ..instances import claims, instance_state, record_file
from ..storage import guarded_read, layout
from ..systemd import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RUN_FIELDS = ("memory", "overhead", "cpus", "forwards", "volumes", "images")
_RECORD_FIELDS = ("service", "ordinal", "launch", "fingerprint", "commit", "protect", "resolved")
_MARK_FIELDS = ("protect", "commit", "proven", "checks")


def build_row(
    root: layout.StoreLayout, owner: str, key: str, desired_fingerprints: dict[str, str], is_supervised: bool
) -> dict[str, Any]:
    """A short one; spec and launch only where the fingerprint is not the desired one.

    ``is_supervised``: whether its supervisor lives.
    """
    try:
        return _read_row(root, owner, key, desired_fingerprints, is_supervised)
    except errors.HostError as problem:
        if problem.kind == "newer-format":
            # Not damaged: whoever replaced it would undo what a newer unictl did.
            raise
        return _damaged_row(root, owner, key, problem.text)
    except OSError as error:
        return _damaged_row(root, owner, key, f"{error.filename} cannot be read: {error.strerror}")


def _read_row(
    root: layout.StoreLayout, owner: str, key: str, desired_fingerprints: dict[str, str], is_supervised: bool
) -> dict[str, Any]:
    path = root.instance(owner, key) + "/record.json"
    document = record_file.read_record(root.instance(owner, key))
    if document is None:
        raise guarded_read.malformed(path, "it is gone")
    if guarded_read.is_uint(document.get("format")) and document["format"] > layout.FORMAT:
        raise layout.newer_format_error(f"the record of {key}", document)
    if not _is_sound(document, key):
        raise guarded_read.malformed(path, f"the record of {key}")
    fields = {name: document.get(name) for name in ("name", "generation", *_RECORD_FIELDS)}
    fields.update({name: document["run"].get(name) for name in _RUN_FIELDS})
    fields.update(_read_marks(root.instance(owner, key) + "/marks.json"))
    fields.update(instance_state.read_state(root, owner, key, is_supervised))
    fields["supervision"] = units.supervision_mode(root, owner, key)
    if not units.starts_at_boot(root, owner, key):
        fields["at_boot"] = False
    fields["since"] = fields["since"] or document.get("at", 0.0)
    desired_fingerprint = desired_fingerprints.get(document["name"]) or desired_fingerprints.get(
        str(document.get("service"))
    )
    if desired_fingerprint and desired_fingerprint != document["fingerprint"]:
        fields["spec"] = document.get("spec")
        fields["launched"] = {"restart": document.get("restart"), "run": document["run"]}
    return fields


def _is_sound(document: dict[str, Any], key: str) -> bool:
    """Whether it is the record of that instance, and everything in it of its kind."""
    resolved = document.get("resolved")
    return (
        guarded_read.is_str_list(
            [document.get(name) for name in ("name", "generation", "service", "fingerprint", "commit")]
        )
        and f"{document['name']}.{document['generation']}" == key
        and all(guarded_read.is_uint(document.get(name)) for name in ("format", "ordinal", "launch"))
        and isinstance(document.get("protect"), bool)
        and (resolved is None or (isinstance(resolved, dict) and guarded_read.is_str_list(list(resolved.values()))))
        and isinstance(document.get("spec"), (dict, type(None)))
        and isinstance(document.get("at", 0.0), (int, float))
        and claims.is_well_formed(document.get("run"))
        and document["run"].keys() >= set(_RUN_FIELDS)
    )


def _read_marks(path: str) -> dict[str, Any]:
    content = guarded_read.read_object(path) or {}
    marks = {name: content[name] for name in _MARK_FIELDS if name in content}
    if (
        all(isinstance(marks.get(name, False), bool) for name in ("protect", "proven"))
        and isinstance(marks.get("commit", ""), str)
        and (marks.get("checks") is None or guarded_read.is_str_list(marks["checks"]))
    ):
        return marks
    raise guarded_read.malformed(path, "the marks of an instance")


def _damaged_row(root: layout.StoreLayout, owner: str, key: str, reason: str) -> dict[str, Any]:
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
        "protect": _is_protected(root.instance(owner, key)),
        "why": reason,
    }


def _is_protected(directory: str) -> bool:
    """Whether it is marked so, as far as can be read; where nothing can be, nobody may say that it is not."""
    for name in ("/marks.json", "/record.json"):
        notes: guarded_read.Notes = []
        content = guarded_read.read_or_note(notes, guarded_read.read_object, directory + name)
        if notes or (content or {}).get("protect") is True:
            return True
        if content and isinstance(content.get("protect"), bool):
            return False
    return True
