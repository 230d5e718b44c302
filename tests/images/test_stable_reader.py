"""A file that somebody writes to while it is read is told as that: no half of it counts, and nothing ends."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from unictl.fleet.model import Fleet, Image, Source
from unictl.images import stable_reader
from unictl.images.file_facts import read_file_facts
from unictl.images.lock_file import LockFile
from unictl.images.resolver import resolve_images
from unictl.onhost.protocol import chunks
from unictl.revisions.working_tree import WorkingTree

SPOILS: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: os.truncate(path, 4096),
    "emptied": lambda path: os.truncate(path, 0),
    "made longer": lambda path: os.truncate(path, 16 << 20),
    "replaced in place": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@pytest.fixture(params=SPOILS)
def image(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is spoiled once two pieces of it were read."""
    path = tmp_path / "api.elf"
    path.write_bytes(os.urandom(4 << 20))
    really, read = os.pread, list[int]()

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        read.append(offset)
        if len(read) == 3:
            SPOILS[request.param](path)
        return really(descriptor, length, offset)

    monkeypatch.setattr(stable_reader.os, "pread", pread)
    return path


def test_its_facts_are_those_of_no_state_it_never_had(image: Path) -> None:
    with pytest.raises(stable_reader.FileChanged, match="it was changed while it was read"):
        read_file_facts(image)


def test_its_list_of_blocks_is_not_made(image: Path) -> None:
    with image.open("rb") as file, pytest.raises(stable_reader.FileChanged):
        chunks.encode_index(stable_reader.StableReader(file).read)


def test_a_plan_names_the_image_and_says_when_to_go_on(image: Path) -> None:
    named = Image(name="api", guest="plain", kernel=Source(path=image.name))
    resolved = resolve_images(
        Fleet(name="shop", images={"api": named}), WorkingTree(image.parent), LockFile(), locked=False
    )
    (problem,) = resolved.problems
    assert problem.path == ("images", "api", "kernel")
    assert (problem.summary, problem.hint) == (
        "api.elf was changed while it was read",
        "run the same command when it is built",
    )
