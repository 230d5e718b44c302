"""Resolves the images of a fleet to facts, against the lock file: what is new, what was rebuilt, what is missing.

A file that does not exist is no problem where the lock file has its digest, resolved from that same path: its bytes
may be elsewhere, and a plan needs only its facts. A path that leads out of the directory is always a problem. The
bytes of a URL are fetched when the lock file does not have them, and only where ``fetch`` is passed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as File

from unictl.diagnostics.finding import Finding, Findings
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import Fleet, Image, Source
from unictl.guests.image_facts import ImageFacts
from unictl.images.file_facts import read_file_facts, read_tree_facts
from unictl.images.lock_file import FactsByImage, LockFile, OriginsByImage
from unictl.images.stable_reader import FileChanged
from unictl.revisions.file_tree import FileTree, OutsideDirectory

IMAGE_PARTS = ("kernel", "initrd", "disk")
Fetcher = Callable[[Source], File | Finding]
"""The file with the bytes of a URL, or why there is none (its path is empty)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedImages:
    """``facts`` of every image that could be read, ``origins`` what they came of, ``sources`` digest -> path of its
    bytes in the tree, ``changes`` what differs from the lock in words, ``new_origins`` what an older lock does not say
    and need not, ``problems`` what could not be read or contradicts the lock.
    """

    facts: FactsByImage
    origins: OriginsByImage
    sources: Mapping[str, str]
    changes: tuple[str, ...]
    new_origins: tuple[str, ...]
    problems: Findings


def resolve_images(
    fleet: Fleet, tree: FileTree, lock: LockFile, *, locked: bool, fetch: Fetcher | None = None
) -> ResolvedImages:
    """Reads the files of every image. With ``locked`` a difference from ``lock_file`` is a problem, else a change."""
    facts: dict[str, dict[str, ImageFacts]] = {}
    origins: dict[str, dict[str, str]] = {}
    sources: dict[str, str] = {}
    changed: list[str] = []
    learned: list[str] = []
    problems: list[Finding] = []
    for name, image in sorted(fleet.images.items()):
        facts[name], origins[name] = {}, {}
        for part, source in _image_parts(image):
            locked_part = _LockedPart(
                name, part, lock.images.get(name, {}).get(part), lock.origins.get(name, {}).get(part, "")
            )
            part_facts = (
                _url_facts(source, locked_part, fetch) if source.url else _file_facts(tree, source, locked_part)
            )
            if isinstance(part_facts, Finding):
                problems.append(part_facts)
                continue
            facts[name][part] = part_facts
            if source.path and part_facts is not locked_part.facts:
                sources[part_facts.sha256] = source.path
            origin = source.url or (source.path if part_facts is not locked_part.facts else locked_part.origin)
            if origin:
                origins[name][part] = origin
            contradiction, change_text = _describe_difference(locked_part, part_facts, origin)
            if contradiction and locked:
                hint = "run `unictl lock` and commit fleet.lock"
                problems.append(
                    Finding(path=locked_part.path, code="lock-contradicted", summary=contradiction, hint=hint)
                )
            elif contradiction:
                changed.append(change_text)
            elif origin != locked_part.origin:
                learned.append(f"image {name}.{part} comes from {origin}")
    return ResolvedImages(
        facts=facts,
        origins=origins,
        sources=sources,
        changes=tuple(changed),
        new_origins=tuple(learned),
        problems=tuple(problems),
    )


@dataclass(frozen=True, slots=True)
class _LockedPart:
    """What the lock says of one file of an image; ``origin`` is empty in a lock of an older unictl."""

    image: str
    part: str
    facts: ImageFacts | None
    origin: str

    @property
    def path(self) -> DocumentPath:
        return ("images", self.image, self.part)


def _image_parts(image: Image) -> list[tuple[str, Source]]:
    pairs = [(part, getattr(image, part)) for part in IMAGE_PARTS]
    return [(part, source) for part, source in pairs if source is not None and (source.path or source.url)]


def _url_facts(source: Source, locked_part: _LockedPart, fetch: Fetcher | None) -> ImageFacts | Finding:
    if locked_part.facts is not None and locked_part.facts.sha256 == source.sha256:
        return locked_part.facts
    if fetch is None:
        text = f"what {source.url} is has not been looked at yet: fleet.lock does not have it"
        return Finding(
            path=locked_part.path, code="image-not-locked", summary=text, hint="run `unictl lock`, which fetches it"
        )
    fetched = fetch(source)
    if isinstance(fetched, Finding):
        return Finding(path=locked_part.path, code=fetched.code, summary=fetched.summary, hint=fetched.hint)
    return read_file_facts(fetched)


def _file_facts(tree: FileTree, source: Source, locked_part: _LockedPart) -> ImageFacts | Finding:
    path = locked_part.path
    try:
        facts = read_tree_facts(tree, source.path)
    except OutsideDirectory:
        text = f"{source.path} leads out of the fleet's folder, and only what lies in it is read"
        hint = "put the file into the folder, and name it from there"
        return Finding(path=path, code="image-outside", summary=text, hint=hint)
    except FileNotFoundError:
        return _missing_file_facts(source, locked_part)
    except IsADirectoryError:
        text = f"{source.path} is a folder"
        return Finding(
            path=path, code="image-unreadable", summary=text, hint="name the file in it that the guest boots from"
        )
    except FileChanged:
        text = f"{source.path} was changed while it was read"
        return Finding(path=path, code="image-unreadable", summary=text, hint="run the same command when it is built")
    except OSError as error:
        text = f"{source.path} cannot be read: {error.strerror}"
        return Finding(path=path, code="image-unreadable", summary=text, hint="make it readable for your user")
    if source.sha256 and source.sha256 != facts.sha256:
        text = f"{source.path} has the digest {facts.sha256[:12]}, not {source.sha256[:12]}"
        return Finding(path=path, code="image-digest", summary=text, hint="correct sha256, or fetch the right file")
    return facts


def _missing_file_facts(source: Source, locked_part: _LockedPart) -> ImageFacts | Finding:
    """What the lock knows is enough, if it is of this path; a lock without paths is taken at its word."""
    missing = f"there is no file {source.path} in the fleet's folder"
    hint = "build it, or correct the path"
    if locked_part.facts is None:
        return Finding(path=locked_part.path, code="image-missing", summary=missing, hint=hint)
    if locked_part.origin in ("", source.path):
        return locked_part.facts
    text = f"{_describe_other_origin(locked_part, source.path)}, and {missing}"
    return Finding(path=locked_part.path, code="image-missing", summary=text, hint=hint)


def _describe_difference(locked_part: _LockedPart, part_facts: ImageFacts, origin: str) -> tuple[str, str]:
    """What contradicts the lock, as a sentence and as what is to be written; both empty where nothing does."""
    sentence_subject, name, digest = (
        f"image {locked_part.image}: {locked_part.part}",
        f"image {locked_part.image}.{locked_part.part}",
        part_facts.sha256[:12],
    )
    if locked_part.facts is None:
        return f"{sentence_subject} {digest} is not in fleet.lock yet", f"{name} {digest}"
    old_digest = locked_part.facts.sha256[:12]
    if locked_part.facts.sha256 != part_facts.sha256:
        return f"{sentence_subject} was {old_digest} in fleet.lock, is {digest} now", f"{name} {old_digest} -> {digest}"
    if locked_part.origin and locked_part.origin != origin:
        return _describe_other_origin(locked_part, origin), f"{name} {locked_part.origin} -> {origin}"
    return "", ""


def _describe_other_origin(locked_part: _LockedPart, origin: str) -> str:
    image_name = locked_part.image if locked_part.part == "kernel" else f"{locked_part.image}.{locked_part.part}"
    return f"fleet.lock knows image {image_name} from {locked_part.origin}, not from {origin}"
