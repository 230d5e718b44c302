"""Prepare a fleet: resolve images and endpoint numbers, and find the revision of its files.

Reading the files needs few imports; the others are loaded while the hosts are being reached.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unictl.declaration.load import Loaded, load
from unictl.diagnostics.diagnostic import Diagnostic, Problems, errors
from unictl.diagnostics.failure import Failure, InvalidFleet
from unictl.fleet.model import Fleet
from unictl.operations.package_data import fleet_schema
from unictl.operations.planning.fleet_files import no_fleet
from unictl.operations.request import FleetRequest
from unictl.plan.model.revision import Revision
from unictl.revisions.file_tree import Texts, Tree
from unictl.revisions.working_tree import WorkTree

if TYPE_CHECKING:
    from unictl.diagnostics.finding import Findings
    from unictl.diagnostics.place import Path as Where
    from unictl.diagnostics.place import Place
    from unictl.images.lock_file import Facts, Lock
    from unictl.images.resolver import Fetch

ENTRY = "fleet.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The fleet files as they were read. ``folder`` is where they lie, ``entry`` the first one's name."""

    folder: Path
    entry: str
    tree: Tree
    loaded: Loaded
    texts: Mapping[str, str]
    revision: Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A fleet with everything decided that needs no host.

    ``relocked`` says what ``fleet.lock`` must learn, ``learned`` what it says only once it is written anew.
    """

    read: Read
    fleet: Fleet
    facts: Facts
    endpoints: Mapping[str, int]
    sources: Mapping[str, str]
    lock: Lock
    relocked: tuple[str, ...]
    learned: tuple[str, ...]

    @property
    def images(self) -> Mapping[str, Path]:
        """Digest -> the file with its bytes, as far as they lie on this machine."""
        places = {digest: self.read.tree.on_disk(path) for digest, path in self.sources.items()}
        return {digest: place for digest, place in places.items() if place is not None}


def read(request: FleetRequest) -> Read:
    """The fleet files; problems are in ``loaded``. UsageFailure where there is no fleet file."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _read(request)
    finally:
        if collecting:
            gc.enable()


def _read(request: FleetRequest) -> Read:
    path = request.path
    folder, entry = (path.parent, path.name) if path.suffix in (".yaml", ".yml") else (path, ENTRY)
    if not request.at and not (folder / entry).is_file():
        raise no_fleet(path, folder, entry)
    tree, revision = _tree(request, folder)
    texts = Texts(tree)
    loaded = load(
        texts, schema=fleet_schema(), environment=request.environment, variables=request.variables, entry=entry
    )
    return Read(folder=folder, entry=entry, tree=tree, loaded=loaded, texts=texts, revision=revision)


def _tree(request: FleetRequest, folder: Path) -> tuple[Tree, Revision]:
    if not request.at:
        return WorkTree(folder), Revision()
    from unictl.revisions.repository import tree_at

    tree, commit, subject = tree_at(folder, request.at)
    return tree, Revision(commit=commit, clean=True, subject=subject)


def settle(request: FleetRequest, fetch: Fetch | None = None, *, renumber: bool = False) -> Settled:
    """Everything up to the hosts; InvalidFleet with all problems of the files, the images and the lock.

    ``fetch``: what gets the bytes of a URL that the lock does not know yet; without it such an image is a problem.
    ``renumber``: an endpoint that has the number of another gets one of its own, instead of being a problem.
    """
    found = read(request)
    return finish(found, declared(found), request, fetch, renumber=renumber)


def declared(found: Read) -> Fleet:
    """The fleet that the files declare; InvalidFleet with all that is wrong in them."""
    if found.loaded.fleet is None:
        raise InvalidFleet(_count(found.loaded.problems), problems=found.loaded.problems)
    return found.loaded.fleet


def finish(
    found: Read, fleet: Fleet, request: FleetRequest, fetch: Fetch | None = None, *, renumber: bool = False
) -> Settled:
    """What ``settle`` does once the files are read."""
    from unictl.images import lock_file
    from unictl.images.resolver import resolve

    lock = _lock(found.tree)
    locked = request.locked or bool(request.at)
    resolved = resolve(fleet, found.tree, lock, locked=locked, fetch=fetch)
    # What a template says wrong is found once for every service that extends it.
    problems = tuple(dict.fromkeys((*diagnose(resolved.problems, found), *_cannot_work(fleet, resolved.facts, found))))
    problems += () if renumber else _shared(found, fleet, lock)
    if errors(problems):
        raise InvalidFleet(_count(problems), problems=problems)
    endpoints = lock_file.number_endpoints(lock.endpoints, lock_file.ranges(fleet))
    numbered = _numbered(lock.endpoints, endpoints)
    if numbered and locked:
        raise InvalidFleet(
            f"{lock_file.NAME} is incomplete, it lacks: " + ", ".join(numbered),
            hint="run `unictl lock` and commit fleet.lock",
        )
    return Settled(
        read=found,
        fleet=fleet,
        facts=resolved.facts,
        endpoints=endpoints,
        sources=resolved.sources,
        lock=lock_file.Lock(images=resolved.facts, origins=resolved.origins, endpoints=endpoints),
        relocked=(*resolved.changed, *numbered),
        learned=resolved.learned,
    )


def _numbered(pinned: Mapping[str, int], endpoints: Mapping[str, int]) -> list[str]:
    """What is new among the endpoint numbers, in words."""
    was = {key: f"{pinned[key]} -> " if key in pinned else "" for key in endpoints}
    return [f"endpoint {key} {was[key]}{number}" for key, number in endpoints.items() if pinned.get(key) != number]


def lock_problems(found: Read) -> Problems:
    """What is wrong with ``fleet.lock`` by itself: it cannot be read, or gives two endpoints one number."""
    try:
        lock = _lock(found.tree)
    except InvalidFleet as failure:
        return failure.problems or (Diagnostic(code="lock-damaged", summary=failure.summary, hint=failure.hint),)
    return _shared(found, found.loaded.fleet, lock) if found.loaded.fleet else ()


def _shared(found: Read, fleet: Fleet, lock: Lock) -> Problems:
    from unictl.images import lock_file
    from unictl.images.lock_parser import shared_numbers

    ranges = lock_file.ranges(fleet)
    # The text is looked at only where something is wrong: it says where.
    if not lock_file.doubles(lock.endpoints, ranges):
        return ()
    return shared_numbers(found.tree.read(lock_file.NAME).decode(), lock.endpoints, ranges)


def write_lock(settled: Settled) -> Path:
    """Writes ``fleet.lock`` beside the fleet file; its path. Failure where that may not be."""
    from unictl.images import lock_file

    place = settled.read.folder / lock_file.NAME
    text = lock_file.write(settled.lock)
    if not place.is_file() or place.read_text() != text:
        aside = place.with_name(place.name + ".new")
        try:
            aside.write_text(text)
            aside.replace(place)
        except OSError as error:
            raise Failure(
                f"{place} cannot be written, which pins images and endpoint numbers: {error.strerror}",
                hint="run it where you may write, commit fleet.lock, and it is only read from then on",
            ) from None
    return place


def revision(settled: Settled) -> Revision:
    """The revision of the fleet's files; asks git only where there is a repository."""
    if settled.read.revision.commit:
        return settled.read.revision
    from unictl.images.lock_file import NAME
    from unictl.revisions.repository import revision_of

    files = (*settled.read.loaded.files, *settled.sources.values(), NAME)
    commit, clean, subject = revision_of(settled.read.folder, files)
    return Revision(commit=commit, clean=clean, subject=subject)


def diagnose(findings: Findings, found: Read) -> Problems:
    """Findings, which know a path in the fleet, as problems with a place in a file."""
    return tuple(
        Diagnostic(
            code=f.code,
            severity=f.severity,
            summary=f.text,
            detail=f.detail,
            hint=f.hint,
            place=place_of(f.path, found.loaded.places),
            source=source_of(place_of(f.path, found.loaded.places), found.texts),
        )
        for f in findings
    )


def place_of(path: Where, places: Mapping[Where, Place]) -> Place | None:
    """Where ``path``, or the nearest thing above it, was written."""
    while path and path not in places:
        path = path[:-1]
    return places.get(path)


def source_of(place: Place | None, texts: Mapping[str, str]) -> str:
    """The line at ``place``."""
    if place is None or place.file not in texts:
        return ""
    lines = texts[place.file].splitlines()
    return lines[place.line - 1] if place.line <= len(lines) else ""


def _rows(rows: Iterable[tuple[Where, str, str, str]], found: Read) -> Problems:
    return tuple(
        Diagnostic(
            code=code,
            summary=text,
            hint=hint,
            place=place_of(path, found.loaded.places),
            source=source_of(place_of(path, found.loaded.places), found.texts),
        )
        for path, code, text, hint in rows
    )


def _cannot_work(fleet: Fleet, facts: Facts, found: Read) -> Problems:
    """What guests and hypervisors refuse, and what is not there yet; a place that is not supported says only that."""
    from unictl.fleet.unsupported import unsupported
    from unictl.instances.launch.preflight import preflight

    missing = unsupported(fleet)
    told = {finding.path for finding in missing}
    rows = (row for row in preflight(fleet, facts) if row[0] not in told)
    return (*_rows(rows, found), *diagnose(missing, found))


def pinned(found: Read) -> Lock:
    """What ``fleet.lock`` says; nothing where there is none. InvalidFleet where it cannot be read."""
    return _lock(found.tree)


def _lock(tree: Tree) -> Lock:
    from unictl.images import lock_file, lock_parser

    try:
        text = tree.read(lock_file.NAME).decode()
    except FileNotFoundError:
        return lock_file.Lock()
    except UnicodeDecodeError:
        hint = "take it from git again, or remove it and run `unictl lock`"
        raise InvalidFleet(f"{lock_file.NAME} is no text in UTF-8", hint=hint) from None
    return lock_parser.read(text)


def _count(problems: Problems) -> str:
    number = len(errors(problems))
    return f"{number} problem{'s' if number != 1 else ''} in the fleet's files"
