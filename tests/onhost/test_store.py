"""Images arrive whole or not at all; the ledger; a full disk."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.onhost.world import OWNER, Call, World, document, short_folder
from unictl.onhost import intact, records, store, wire

IMAGE = os.urandom(700_000)
SHA = hashlib.sha256(IMAGE).hexdigest()
ASK = {"owner": OWNER, "digest": SHA, "size": len(IMAGE)}


def image(world: World) -> Path:
    return Path(world.root.images) / SHA


def test_a_staged_image_is_read_only_and_pinned(held: World) -> None:
    assert held.do("stage", IMAGE, digest=SHA, size=len(IMAGE)) == {"had": False}
    assert image(held).read_bytes() == IMAGE
    assert image(held).stat().st_mode & 0o777 == 0o444
    assert held.do("stage", b"", digest=SHA, size=len(IMAGE)) == {"had": True}


def test_an_interrupted_upload_is_resumed(held: World) -> None:
    call = Call(held.connection, IMAGE, stop_after=300_000)
    with pytest.raises(wire.Problem):
        store.stage(held.root, ASK, call)
    held.release()
    held.acquire()
    again = Call(held.connection, IMAGE)
    store.stage(held.root, ASK, again)
    assert again.pulled == [(327680, len(IMAGE) - 327680)]
    assert image(held).read_bytes() == IMAGE


def test_a_damaged_partial_is_pulled_once_more_from_the_beginning(held: World) -> None:
    partial = Path(held.root.images) / f".partial-{SHA}"
    partial.write_bytes(b"\0" * 65536)
    call = Call(held.connection, IMAGE)
    store.stage(held.root, ASK, call)
    assert call.pulled == [(65536, len(IMAGE) - 65536), (0, len(IMAGE))]
    assert image(held).read_bytes() == IMAGE


def test_a_corrupted_stored_image_is_detected_and_pulled_again(held: World) -> None:
    held.stage(IMAGE)
    image(held).chmod(0o644)
    with image(held).open("r+b") as file:
        file.write(b"\0")
    assert held.do("stage", IMAGE, digest=SHA, size=len(IMAGE)) == {"had": False}
    assert image(held).read_bytes() == IMAGE


def spoil(world: World) -> None:
    image(world).chmod(0o644)
    with image(world).open("r+b") as file:
        file.write(b"\0" if IMAGE[0] else b"\1")
    image(world).chmod(0o444)


def test_an_image_that_somebody_wrote_to_is_told_by_the_survey_and_starts_nobody(held: World) -> None:
    held.stage(IMAGE)
    assert held.survey()["images"] == [SHA]
    spoil(held)
    assert (held.survey()["images"], held.survey()["damaged"]) == ([], [SHA])
    (outcome,) = held.launch(document(images=[SHA]))
    assert outcome["problem"]["kind"] == "damaged"
    assert f"image {SHA[:12]} is damaged on this host" in outcome["problem"]["text"]
    assert held.do("stage", IMAGE, digest=SHA, size=len(IMAGE)) == {"had": False}
    assert (held.survey()["images"], held.survey()["damaged"]) == ([SHA], [])
    assert held.launch(document(images=[SHA]))[0]["ok"]


def test_an_image_that_was_only_touched_is_read_once_and_is_well(held: World) -> None:
    held.stage(IMAGE)
    os.utime(image(held))
    assert (held.survey()["images"], held.survey()["damaged"]) == ([SHA], [])


def test_what_a_disk_lost_by_itself_is_found_by_reading(held: World) -> None:
    held.stage(IMAGE)
    spoil(held)
    notes = Path(held.root.images) / ".seen"
    told = image(held).stat()
    notes.write_text(json.dumps({SHA: [told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns, True]}))
    assert intact.intact(held.root, SHA)
    assert not intact.intact(held.root, SHA, read=True)
    assert held.survey()["damaged"] == [SHA]


def test_without_its_notes_a_store_is_as_it_was(held: World) -> None:
    held.stage(IMAGE)
    (Path(held.root.images) / ".seen").write_text("{torn")
    assert (held.survey()["images"], held.survey()["damaged"]) == ([SHA], [])
    assert held.launch(document(images=[SHA]))[0]["ok"]


def test_bytes_that_are_not_the_image_never_get_its_name(held: World) -> None:
    with pytest.raises(wire.Problem) as problem:
        held.do("stage", b"x" * len(IMAGE), digest=SHA, size=len(IMAGE))
    assert problem.value.kind == "damaged"
    assert not image(held).exists()
    assert held.survey()["leftovers"] == 0


def test_an_image_that_a_record_or_a_pin_of_any_fleet_names_is_kept(held: World) -> None:
    pinned, named, surplus = (held.stage(data) for data in (b"pinned", b"named", b"surplus"))
    held.launch(document(images=[named]))
    assert held.do("collect", keep_images=[pinned])["images"] == [surplus]
    assert set(held.survey()["images"]) == {pinned, named}


def test_the_ledger_is_read_in_the_order_of_tokens_and_a_torn_line_is_ignored(held: World) -> None:
    held.do("ledger", append={"what": "first"})
    with Path(held.root.fleet(OWNER) + "/ledger.jsonl").open("ab") as file:
        file.write(b'{"token": 1, "wha')
    held.release()
    held.acquire()
    held.do("ledger", append={"what": "second"})
    entries = held.do("ledger", read=0)["entries"]
    assert [(entry["token"], entry["what"]) for entry in entries] == [(1, "first"), (2, "second")]
    assert [entry["what"] for entry in held.do("ledger", read=1)["entries"]] == ["second"]


def test_the_ledger_is_bounded(held: World) -> None:
    for number in range(50):
        held.do("ledger", append={"n": number, "text": "x" * 100}, bound=4000)
    entries = held.do("ledger", read=0)["entries"]
    assert Path(held.root.fleet(OWNER) + "/ledger.jsonl").stat().st_size < 4400
    assert entries[-1]["n"] == 49


@pytest.fixture
def small() -> Iterator[World]:
    """A host whose disk holds one MiB."""
    folder = short_folder()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False).returncode:
        pytest.skip("needs to mount a tmpfs")
    try:
        made = World(folder + "/root")
        made.acquire()
        yield made
        made.close()
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        Path(folder).rmdir()


def fill(world: World, leave: int = 0) -> Path:
    path = Path(world.root.path) / "filling"
    size = records.free_bytes(world.root.path) - leave
    path.write_bytes(b"x" * size)
    return path


def test_a_full_disk_is_told_with_path_and_free_bytes(small: World) -> None:
    fill(small, leave=8192)
    with pytest.raises(wire.Problem) as problem:
        small.do("stage", IMAGE, digest=SHA, size=len(IMAGE))
    assert problem.value.kind == "no-room"
    assert "8192 are free" in problem.value.text
    assert problem.value.path


def test_a_volume_that_does_not_fit_leaves_nothing(small: World) -> None:
    with pytest.raises(wire.Problem) as problem:
        small.do("volume", action="create", name="orders", size=4 << 20)
    assert problem.value.kind == "no-room"
    assert small.survey()["volumes"] == []
    assert small.survey()["leftovers"] == 0


def test_on_a_full_disk_a_launch_fails_a_retire_works_and_room_heals(small: World) -> None:
    small.launch(document("web-0"))
    filling = fill(small)
    (outcome,) = small.launch(document("web-1", spec={"x": "y" * 9000}))
    assert outcome["problem"]["kind"] == "no-room"
    filling.unlink()
    small.release()
    small.acquire()
    assert small.survey()["leftovers"] == 0
    assert small.launch(document("web-1"))[0]["ok"]
    assert small.retire("web-0.0123abcd")


def test_on_a_disk_without_one_free_byte_an_instance_can_be_retired(small: World) -> None:
    small.launch(document("web-0"))
    small.release()
    fill(small)
    small.acquire()
    assert small.retire("web-0.0123abcd")
    assert small.states() == {}
    assert small.survey()["retired"] == {"web-0": 1}
