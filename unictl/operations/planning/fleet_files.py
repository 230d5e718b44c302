"""The files of a fleet as read, the fleet prepared from them, and their problems with places in the files."""

from __future__ import annotations

import gc
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from unictl.declaration.load import LoadResult, load_fleet
from unictl.diagnostics.diagnostic import Problems, errors
from unictl.diagnostics.failure import InvalidFleet, UsageFailure
from unictl.fleet.model import Fleet
from unictl.operations.package_data import load_fleet_schema
from unictl.operations.request import FleetRequest
from unictl.plan.model.revision import Revision
from unictl.revisions.file_tree import FileTexts, FileTree
from unictl.revisions.working_tree import WorkingTree

if TYPE_CHECKING:
    from pathlib import Path

    from unictl.images.lock_file import FactsByImage, LockFile


_MAX_ENTRIES = 200
"""Folders beside and above that are looked into, at most."""


def missing_fleet(path: Path, folder: Path, entry: str) -> UsageFailure:
    """What stands there instead, or what may have been meant."""
    hint = "name a fleet's folder, or begin one with `unictl init`"
    if folder.is_dir():
        nearby = _nearby_fleets(folder)
        hint = (
            f"{' and '.join(map(str, nearby))} {'has' if len(nearby) == 1 else 'have'} one: name it" if nearby else hint
        )
        return UsageFailure(f"there is no {entry} in {folder.absolute()}", hint=hint)
    if folder.is_file():
        file = shlex.join([str(folder)])
        hint = f"where it is a saved plan: unictl show {file}, or unictl apply {file}; else name a fleet's folder"
        return UsageFailure(f"{folder} is a file, and no fleet", hint=hint)
    if path.suffix:
        hint = "name a fleet's folder, or a file that `unictl plan -out` wrote"
        return UsageFailure(f"there is no such plan file or folder: {folder}", hint=hint)
    return UsageFailure(f"there is no folder {folder}", hint=hint)


def _nearby_fleets(folder: Path) -> list[Path]:
    """Fleets in the folder, right below it or right above: three at most, as they would be typed."""
    try:
        below = sorted(candidate for candidate in islice(folder.iterdir(), _MAX_ENTRIES) if candidate.is_dir())
    except OSError:
        below = []
    above = folder / ".." if str(folder) != "." else type(folder)("..")
    places = [folder, *below, above]
    return [candidate for candidate in places if (candidate / "fleet.yaml").is_file()][:3]


ENTRY = "fleet.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFiles:
    """The fleet files as they were read. ``folder`` is where they lie, ``entry`` the first one's name."""

    folder: Path
    entry: str
    tree: FileTree
    loaded: LoadResult
    texts: Mapping[str, str]
    revision: Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedFleet:
    """A fleet with everything decided that needs no host.

    ``lock_changes`` says what ``fleet.lock`` must learn, ``lock_additions`` what it says only once it is written anew.
    """

    files: FleetFiles
    fleet: Fleet
    facts: FactsByImage
    endpoints: Mapping[str, int]
    sources: Mapping[str, str]
    lock: LockFile
    lock_changes: tuple[str, ...]
    lock_additions: tuple[str, ...]

    @property
    def images(self) -> Mapping[str, Path]:
        """Digest -> the file with its bytes, as far as they lie on this machine."""
        places = {digest: self.files.tree.on_disk(path) for digest, path in self.sources.items()}
        return {digest: place for digest, place in places.items() if place is not None}


def read_files(request: FleetRequest) -> FleetFiles:
    """The fleet files; problems are in ``loaded``. UsageFailure where there is no fleet file."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        return _read_files(request)
    finally:
        if was_collecting:
            gc.enable()


def _read_files(request: FleetRequest) -> FleetFiles:
    path = request.path
    folder, entry = (path.parent, path.name) if path.suffix in (".yaml", ".yml") else (path, ENTRY)
    if not request.at and not (folder / entry).is_file():
        raise missing_fleet(path, folder, entry)
    tree, revision = _open_tree(request, folder)
    texts = FileTexts(tree)
    loaded = load_fleet(
        texts, schema=load_fleet_schema(), environment=request.environment, variables=request.variables, entry=entry
    )
    return FleetFiles(folder=folder, entry=entry, tree=tree, loaded=loaded, texts=texts, revision=revision)


def _open_tree(request: FleetRequest, folder: Path) -> tuple[FileTree, Revision]:
    if not request.at:
        return WorkingTree(folder), Revision()
    from unictl.revisions.repository import open_tree

    tree, commit, subject = open_tree(folder, request.at)
    return tree, Revision(commit=commit, clean=True, subject=subject)


def require_fleet(files: FleetFiles) -> Fleet:
    """The fleet that the files declare; InvalidFleet with all that is wrong in them."""
    if files.loaded.fleet is None:
        raise InvalidFleet(count_problems(files.loaded.problems), problems=files.loaded.problems)
    return files.loaded.fleet


def count_problems(problems: Problems) -> str:
    error_count = len(errors(problems))
    return f"{error_count} problem{'s' if error_count != 1 else ''} in the fleet's files"
