"""Names and directories of fleets. A renamed fleet keeps the directory of its first name.

Its locks, units and processes all use that directory. ``fleet.json`` in it holds the current name; renaming a fleet
rewrites that file. Requests use the current name, or the former one if the fleet file declares it (``was``).
"""

from __future__ import annotations

import os

from .. import errors
from ..protocol import frames
from . import guarded_read, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .fenced_store import FencedStore


def current_name(root: layout.StoreLayout, directory: str) -> str:
    """What the fleet in a folder is called; by the folder's own name where nothing else is written."""
    identity = read_identity(root, directory)
    return _full_name(identity) if identity.get("mark") else directory


def resolve_request(root: layout.StoreLayout, request: dict[str, Any]) -> dict[str, Any]:
    """A request with the folder of its fleet for ``owner``, and what it asked for as ``known_as``."""
    owner = layout.safe_component(request["owner"])
    return dict(request, owner=_resolve_directory(root, owner, str(request.get("was") or "")), known_as=owner)


def rename(root: FencedStore, directory: str, identity: dict[str, Any]) -> None:
    """Call the fleet in a folder ``mark`` and ``id`` from now on."""
    identity = {"mark": str(identity["mark"]), "id": str(identity["id"])}
    if read_identity(root, directory) != identity:
        root.write_atomic(root.fleet(directory) + "/fleet.json", frames.encode_json(identity))


def survey_name(root: layout.StoreLayout, request: dict[str, Any]) -> dict[str, Any]:
    """How the fleet of a survey is called here, and what speaks against taking it for the one that is asked for.

    ``current_name`` is empty where nothing of it is here; ``both``: what lies here under its former name beside it;
    ``kin``: marks of fleets with its id and another name; ``former``: other fleets of its former name.
    """
    directory, name, former_name = (
        request["owner"],
        request.get("known_as", request["owner"]),
        str(request.get("was") or ""),
    )
    exists = os.path.isdir(root.fleet(directory))
    former_directory = _find_directory(root, former_name) if exists and former_name else ""
    return {
        "called": current_name(root, directory) if exists else "",
        "both": _contents(root, former_directory) if former_directory and former_directory != directory else [],
        **(
            {"kin": [], "former": []}
            if exists
            else _similar_fleets(root, str(request.get("mark", "")), name, former_name)
        ),
    }


def _similar_fleets(root: layout.StoreLayout, mark: str, name: str, former_name: str) -> dict[str, list[str]]:
    fleet_id = name[len(mark) + 1 :] if name.startswith(mark + "-") else ""
    former_mark = (
        former_name[: -len(fleet_id) - 1] if fleet_id and former_name.endswith("-" + fleet_id) else former_name
    )
    environment = mark.partition("@")[2]
    kin, former = [], []
    for directory in root.owners():
        identity = read_identity(root, directory)
        other_mark = str(identity.get("mark") or "")
        if other_mark and other_mark == former_mark and _full_name(identity) != former_name:
            former.append(_full_name(identity))
        elif (
            fleet_id
            and identity.get("id") == fleet_id
            and other_mark.partition("@")[2] == environment
            and _contents(root, directory)
        ):
            kin.append(other_mark)
    return {"kin": kin, "former": former}


def _contents(root: layout.StoreLayout, directory: str) -> list[str]:
    instance_keys, volume_names = (
        guarded_read.read_or_note(None, list_contents, directory) or []
        for list_contents in (root.keys, root.volume_names)
    )
    return [*instance_keys, *(f"volume {name}" for name in volume_names)]


def _resolve_directory(root: layout.StoreLayout, owner: str, former_name: str) -> str:
    directory = _find_directory(root, owner) or (
        _find_directory(root, layout.safe_component(former_name)) if former_name else ""
    )
    if directory:
        return directory
    if os.path.isdir(root.fleet(owner)):
        mark = str(read_identity(root, owner)["mark"])
        raise errors.HostError(
            "renamed",
            f"the fleet that was called {owner} is called {current_name(root, owner)} by now",
            f"if this is the same fleet: `name: {mark}`, or `was: {mark}` to rename it; else give this one an id of "
            "its own",
        )
    return owner


def _find_directory(root: layout.StoreLayout, name: str) -> str:
    """The folder of the fleet that is called so; empty where there is none."""
    if os.path.isdir(root.fleet(name)) and current_name(root, name) == name:
        return name
    return next(
        (directory for directory in root.owners() if directory != name and current_name(root, directory) == name), ""
    )


def read_identity(root: layout.StoreLayout, directory: str) -> dict[str, Any]:
    """Mark and id as the folder of a fleet has them; nothing where they are not there, or cannot be read."""
    identity = guarded_read.read_or_note(None, guarded_read.read_object, root.fleet(directory) + "/fleet.json") or {}
    return {name: identity[name] for name in ("mark", "id") if isinstance(identity.get(name), str)}


def _full_name(identity: dict[str, Any]) -> str:
    mark, fleet_id = str(identity.get("mark") or ""), str(identity.get("id") or "")
    return f"{mark}-{fleet_id}" if fleet_id else mark
