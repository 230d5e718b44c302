"""Resolves the images of a fleet to facts, against the lock file: what is new, what was rebuilt, what is missing.

A file that does not exist is no problem where the lock file has its digest, resolved from that same path: its
bytes may be elsewhere, and a plan needs only its facts. A path that leads out of the directory is always a
problem. The bytes of a URL are fetched when the lock file does not have them, and only where ``fetch`` is
passed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as File

from unictl.diagnostics.finding import Finding, Findings
from unictl.diagnostics.place import Path
from unictl.fleet.model import Fleet, Image, Source
from unictl.guests.image_facts import ImageFacts
from unictl.images.file_facts import facts_of, facts_of_file
from unictl.images.lock_file import Facts, Lock, Origins
from unictl.images.stable_reader import Changed
from unictl.revisions.file_tree import Outside, Tree

PARTS = ("kernel", "initrd", "disk")
Fetch = Callable[[Source], File | Finding]
"""The file with the bytes of a URL, or why there is none (its path is empty)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """``facts`` of every image that could be read, ``origins`` what they came of, ``sources`` digest -> path of its
    bytes in the tree, ``changed`` what differs from the lock in words, ``learned`` what an older lock does not say and
    need not, ``problems`` what could not be read or contradicts the lock."""

    facts: Facts
    origins: Origins
    sources: Mapping[str, str]
    changed: tuple[str, ...]
    learned: tuple[str, ...]
    problems: Findings


def resolve(fleet: Fleet, tree: Tree, lock: Lock, *, locked: bool, fetch: Fetch | None = None) -> Resolved:
    """Reads the files of every image. With ``locked`` a difference from ``lock`` is a problem, else a change."""
    facts: dict[str, dict[str, ImageFacts]] = {}
    origins: dict[str, dict[str, str]] = {}
    sources: dict[str, str] = {}
    changed: list[str] = []
    learned: list[str] = []
    problems: list[Finding] = []
    for name, image in sorted(fleet.images.items()):
        facts[name], origins[name] = {}, {}
        for part, source in _parts(image):
            known = _Known(name, part, lock.images.get(name, {}).get(part), lock.origins.get(name, {}).get(part, ""))
            found = _from_url(source, known, fetch) if source.url else _read(tree, source, known)
            if isinstance(found, Finding):
                problems.append(found)
                continue
            facts[name][part] = found
            if source.path and found is not known.facts:
                sources[found.sha256] = source.path
            origin = source.url or (source.path if found is not known.facts else known.origin)
            if origin:
                origins[name][part] = origin
            contradicted, words = _difference(known, found, origin)
            if contradicted and locked:
                hint = "run `unictl lock` and commit fleet.lock"
                problems.append(Finding(path=known.path, code="lock-contradicted", text=contradicted, hint=hint))
            elif contradicted:
                changed.append(words)
            elif origin != known.origin:
                learned.append(f"image {name}.{part} comes from {origin}")
    return Resolved(
        facts=facts,
        origins=origins,
        sources=sources,
        changed=tuple(changed),
        learned=tuple(learned),
        problems=tuple(problems),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the lock says of one file of an image; ``origin`` is empty in a lock of an older unictl."""

    image: str
    part: str
    facts: ImageFacts | None
    origin: str

    @property
    def path(self) -> Path:
        return ("images", self.image, self.part)


def _parts(image: Image) -> list[tuple[str, Source]]:
    pairs = [(part, getattr(image, part)) for part in PARTS]
    return [(part, source) for part, source in pairs if source is not None and (source.path or source.url)]


def _from_url(source: Source, known: _Known, fetch: Fetch | None) -> ImageFacts | Finding:
    if known.facts is not None and known.facts.sha256 == source.sha256:
        return known.facts
    if fetch is None:
        text = f"what {source.url} is has not been looked at yet: fleet.lock does not have it"
        return Finding(path=known.path, code="image-not-locked", text=text, hint="run `unictl lock`, which fetches it")
    came = fetch(source)
    if isinstance(came, Finding):
        return Finding(path=known.path, code=came.code, text=came.text, hint=came.hint)
    return facts_of_file(came)


def _read(tree: Tree, source: Source, known: _Known) -> ImageFacts | Finding:
    path = known.path
    try:
        found = facts_of(tree, source.path)
    except Outside:
        text = f"{source.path} leads out of the fleet's folder, and only what lies in it is read"
        hint = "put the file into the folder, and name it from there"
        return Finding(path=path, code="image-outside", text=text, hint=hint)
    except FileNotFoundError:
        return _not_there(source, known)
    except IsADirectoryError:
        text = f"{source.path} is a folder"
        return Finding(
            path=path, code="image-unreadable", text=text, hint="name the file in it that the guest boots from"
        )
    except Changed:
        text = f"{source.path} was changed while it was read"
        return Finding(path=path, code="image-unreadable", text=text, hint="run the same command when it is built")
    except OSError as error:
        text = f"{source.path} cannot be read: {error.strerror}"
        return Finding(path=path, code="image-unreadable", text=text, hint="make it readable for your user")
    if source.sha256 and source.sha256 != found.sha256:
        text = f"{source.path} has the digest {found.sha256[:12]}, not {source.sha256[:12]}"
        return Finding(path=path, code="image-digest", text=text, hint="correct sha256, or fetch the right file")
    return found


def _not_there(source: Source, known: _Known) -> ImageFacts | Finding:
    """What the lock knows is enough, if it is of this path; a lock without paths is taken at its word."""
    missing = f"there is no file {source.path} in the fleet's folder"
    hint = "build it, or correct the path"
    if known.facts is None:
        return Finding(path=known.path, code="image-missing", text=missing, hint=hint)
    if known.origin in ("", source.path):
        return known.facts
    text = f"{_other_origin(known, source.path)}, and {missing}"
    return Finding(path=known.path, code="image-missing", text=text, hint=hint)


def _difference(known: _Known, found: ImageFacts, origin: str) -> tuple[str, str]:
    """What contradicts the lock, as a sentence and as what is to be written; both empty where nothing does."""
    which, name, digest = f"image {known.image}: {known.part}", f"image {known.image}.{known.part}", found.sha256[:12]
    if known.facts is None:
        return f"{which} {digest} is not in fleet.lock yet", f"{name} {digest}"
    old = known.facts.sha256[:12]
    if known.facts.sha256 != found.sha256:
        return f"{which} was {old} in fleet.lock, is {digest} now", f"{name} {old} -> {digest}"
    if known.origin and known.origin != origin:
        return _other_origin(known, origin), f"{name} {known.origin} -> {origin}"
    return "", ""


def _other_origin(known: _Known, origin: str) -> str:
    which = known.image if known.part == "kernel" else f"{known.image}.{known.part}"
    return f"fleet.lock knows image {which} from {known.origin}, not from {origin}"
