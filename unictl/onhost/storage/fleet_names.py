"""Names and directories of fleets. A renamed fleet keeps the directory of its first name.

Its locks, units and processes all use that directory. ``fleet.json`` in it holds the current name; renaming a fleet
rewrites that file. Requests use the current name, or the former one if the fleet file declares it (``was``).
"""

from __future__ import annotations

import os

from ..protocol import frames
from . import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .fenced_store import Writable


def called(root: layout.Root, store: str) -> str:
    """What the fleet in a folder is called; by the folder's own name where nothing else is written."""
    found = told(root, store)
    return _owner(found) if found.get("mark") else store


def resolved(root: layout.Root, ask: dict[str, Any]) -> dict[str, Any]:
    """A request with the folder of its fleet for ``owner``, and what it asked for as ``known_as``."""
    owner = layout.part(ask["owner"])
    return dict(ask, owner=_store(root, owner, str(ask.get("was") or "")), known_as=owner)


def rename(root: Writable, store: str, wanted: dict[str, Any]) -> None:
    """Call the fleet in a folder ``mark`` and ``id`` from now on."""
    wanted = {"mark": str(wanted["mark"]), "id": str(wanted["id"])}
    if told(root, store) != wanted:
        root.write_atomic(root.fleet(store) + "/fleet.json", frames.encode(wanted))


def survey(root: layout.Root, ask: dict[str, Any]) -> dict[str, Any]:
    """How the fleet of a survey is called here, and what speaks against taking it for the one that is asked for.

    ``called`` is empty where nothing of it is here; ``both``: what lies here under its former name beside it; ``kin``:
    marks of fleets with its id and another name; ``former``: other fleets of its former name.
    """
    store, name, was = ask["owner"], ask.get("known_as", ask["owner"]), str(ask.get("was") or "")
    there = os.path.isdir(root.fleet(store))
    beside = _find(root, was) if there and was else ""
    return {
        "called": called(root, store) if there else "",
        "both": _things(root, beside) if beside and beside != store else [],
        **({"kin": [], "former": []} if there else _others(root, str(ask.get("mark", "")), name, was)),
    }


def _others(root: layout.Root, mark: str, name: str, was: str) -> dict[str, list[str]]:
    id_ = name[len(mark) + 1 :] if name.startswith(mark + "-") else ""
    once = was[: -len(id_) - 1] if id_ and was.endswith("-" + id_) else was
    environment = mark.partition("@")[2]
    kin, former = [], []
    for other in root.owners():
        found = told(root, other)
        theirs = str(found.get("mark") or "")
        if theirs and theirs == once and _owner(found) != was:
            former.append(_owner(found))
        elif id_ and found.get("id") == id_ and theirs.partition("@")[2] == environment and _things(root, other):
            kin.append(theirs)
    return {"kin": kin, "former": former}


def _things(root: layout.Root, store: str) -> list[str]:
    keys, volumes = (guarded_read.noted(None, listed, store) or [] for listed in (root.keys, root.volume_names))
    return [*keys, *(f"volume {name}" for name in volumes)]


def _store(root: layout.Root, owner: str, was: str) -> str:
    store = _find(root, owner) or (_find(root, layout.part(was)) if was else "")
    if store:
        return store
    if os.path.isdir(root.fleet(owner)):
        mark = str(told(root, owner)["mark"])
        raise frames.Problem(
            "renamed",
            f"the fleet that was called {owner} is called {called(root, owner)} by now",
            f"if this is the same fleet: `name: {mark}`, or `was: {mark}` to rename it; else give this one an id of "
            "its own",
        )
    return owner


def _find(root: layout.Root, name: str) -> str:
    """The folder of the fleet that is called so; empty where there is none."""
    if os.path.isdir(root.fleet(name)) and called(root, name) == name:
        return name
    return next((each for each in root.owners() if each != name and called(root, each) == name), "")


def told(root: layout.Root, store: str) -> dict[str, Any]:
    """Mark and id as the folder of a fleet has them; nothing where they are not there, or cannot be read."""
    found = guarded_read.noted(None, guarded_read.read_object, root.fleet(store) + "/fleet.json") or {}
    return {name: found[name] for name in ("mark", "id") if isinstance(found.get(name), str)}


def _owner(told: dict[str, Any]) -> str:
    mark, id_ = str(told.get("mark") or ""), str(told.get("id") or "")
    return f"{mark}-{id_}" if id_ else mark
