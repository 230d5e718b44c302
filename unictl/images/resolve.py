"""The images a fleet names -> their facts, against the lock: what is new, what was built anew, what is missing.

A file that is not there is no problem where the lock knows its digest: its bytes may lie elsewhere, and a plan needs
only its facts. Bytes behind a URL are fetched when the lock does not know them, and only where ``fetch`` is given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as File

from unictl.diagnostics.place import Path
from unictl.fleet.finding import Finding, Findings
from unictl.fleet.model import Fleet, Image, Source
from unictl.guests.facts import ImageFacts
from unictl.images.file import facts_of, facts_of_file
from unictl.images.lock import Facts
from unictl.revisions.tree import Tree

PARTS = ("kernel", "initrd", "disk")
Fetch = Callable[[Source], File | Finding]
"""The file with the bytes of a URL, or why there is none (its path is empty)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """``facts`` of every image that could be read, ``sources`` digest -> path of its bytes in the tree,
    ``changed`` what differs from the lock in words, ``problems`` what could not be read or contradicts the lock."""

    facts: Facts
    sources: Mapping[str, str]
    changed: tuple[str, ...]
    problems: Findings


def resolve(fleet: Fleet, tree: Tree, pinned: Facts, *, locked: bool, fetch: Fetch | None = None) -> Resolved:
    """Reads the files of every image. With ``locked`` a difference from ``pinned`` is a problem, else a change."""
    facts: dict[str, dict[str, ImageFacts]] = {}
    sources: dict[str, str] = {}
    changed: list[str] = []
    problems: list[Finding] = []
    for name, image in sorted(fleet.images.items()):
        facts[name] = {}
        for part, source in _parts(image):
            path: Path = ("images", name, part)
            known = pinned.get(name, {}).get(part)
            found = _from_url(source, path, known, fetch) if source.url else _read(tree, source, path, known)
            if isinstance(found, Finding):
                problems.append(found)
                continue
            facts[name][part] = found
            if source.path and found is not known:
                sources[found.sha256] = source.path
            words = _difference(name, part, found, pinned)
            if words and locked:
                problems.append(
                    Finding(
                        path=path, code="lock-contradicted", text=words, hint="run `unictl lock` and commit fleet.lock"
                    )
                )
            elif words:
                changed.append(words)
    return Resolved(facts=facts, sources=sources, changed=tuple(changed), problems=tuple(problems))


def _parts(image: Image) -> list[tuple[str, Source]]:
    pairs = [(part, getattr(image, part)) for part in PARTS]
    return [(part, source) for part, source in pairs if source is not None and (source.path or source.url)]


def _from_url(source: Source, path: Path, known: ImageFacts | None, fetch: Fetch | None) -> ImageFacts | Finding:
    if known is not None and known.sha256 == source.sha256:
        return known
    if fetch is None:
        text = f"what {source.url} is has not been looked at yet: fleet.lock does not have it"
        return Finding(path=path, code="image-not-locked", text=text, hint="run `unictl lock`, which fetches it")
    came = fetch(source)
    if isinstance(came, Finding):
        return Finding(path=path, code=came.code, text=came.text, hint=came.hint)
    return facts_of_file(came)


def _read(tree: Tree, source: Source, path: Path, known: ImageFacts | None) -> ImageFacts | Finding:
    try:
        found = facts_of(tree, source.path)
    except FileNotFoundError:
        if known is not None:
            return known
        text = f"there is no file {source.path} in the fleet's folder"
        return Finding(path=path, code="image-missing", text=text, hint="build it, or correct the path")
    except IsADirectoryError:
        text = f"{source.path} is a folder"
        return Finding(
            path=path, code="image-unreadable", text=text, hint="name the file in it that the guest boots from"
        )
    except OSError as error:
        text = f"{source.path} cannot be read: {error.strerror}"
        return Finding(path=path, code="image-unreadable", text=text, hint="make it readable for your user")
    if source.sha256 and source.sha256 != found.sha256:
        text = f"{source.path} has the digest {found.sha256[:12]}, not {source.sha256[:12]}"
        return Finding(path=path, code="image-digest", text=text, hint="correct sha256, or fetch the right file")
    return found


def _difference(name: str, part: str, found: ImageFacts, pinned: Facts) -> str:
    old = pinned.get(name, {}).get(part)
    if old is None:
        return f"image {name}: {part} {found.sha256[:12]} is not in fleet.lock yet"
    if old.sha256 != found.sha256:
        return f"image {name}: {part} was {old.sha256[:12]} in fleet.lock, is {found.sha256[:12]} now"
    return ""
