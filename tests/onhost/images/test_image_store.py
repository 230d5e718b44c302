"""Images arrive whole or not at all; the ledger; a full disk."""

import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.onhost.world import OWNER, Call, World, document, short_folder
from unictl.onhost import errors
from unictl.onhost.handlers import images, launch
from unictl.onhost.images import integrity, retention
from unictl.onhost.storage import atomic, guarded_read, locks

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
    with pytest.raises(errors.HostError):
        images.stage(held.writable, ASK, call)
    held.release()
    held.acquire()
    again = Call(held.connection, IMAGE)
    images.stage(held.writable, ASK, again)
    assert again.pulled == [(327680, len(IMAGE) - 327680)]
    assert image(held).read_bytes() == IMAGE


def test_a_damaged_partial_is_pulled_once_more_from_the_beginning(held: World) -> None:
    partial = Path(held.root.images) / f".partial-{SHA}"
    partial.write_bytes(b"\0" * 65536)
    call = Call(held.connection, IMAGE)
    images.stage(held.writable, ASK, call)
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
    assert integrity.verify(held.root, SHA)
    assert not integrity.verify(held.root, SHA, reread=True)
    assert held.survey()["damaged"] == [SHA]


def test_without_its_notes_a_store_is_as_it_was(held: World) -> None:
    held.stage(IMAGE)
    (Path(held.root.images) / ".seen").write_text("{torn")
    assert (held.survey()["images"], held.survey()["damaged"]) == ([SHA], [])
    assert held.launch(document(images=[SHA]))[0]["ok"]


def test_bytes_that_are_not_the_image_never_get_its_name(held: World) -> None:
    with pytest.raises(errors.HostError) as problem:
        held.do("stage", b"x" * len(IMAGE), digest=SHA, size=len(IMAGE))
    assert problem.value.kind == "damaged"
    assert not image(held).exists()
    assert held.survey()["leftovers"] == 0


def collected(world: World, revision: str, *images: str, bound: int = 10) -> list[str]:
    reply = world.do("collect-garbage", images=list(images), revision=revision, keep_images=bound)
    gone: list[str] = reply["images"]
    return gone


def test_an_image_that_a_record_of_any_fleet_names_is_kept(held: World) -> None:
    other = World(held.root.path)
    other.acquire(owner="other", mark="other", id="")
    foreign, named, surplus = (held.stage(data) for data in (b"foreign", b"named", b"surplus"))
    other.do("launch", owner="other", instances=[document("db-0", images=[foreign])], secrets={})
    held.launch(document(images=[named]))
    assert collected(held, "c1", named) == [surplus]
    assert set(held.survey()["images"]) == {foreign, named}
    other.do("retire", owner="other", key="db-0.0123abcd", grace=0, keep=1)
    assert collected(held, "c1", named) == [], "what was retired may have to come back until that apply has ended"
    assert other.do("collect-garbage", owner="other")["images"] == [foreign]
    other.do("release", owner="other")


def test_an_image_that_another_fleet_collects_while_a_launch_is_written_starts_nobody(held: World) -> None:
    other = World(held.root.path)
    other.acquire(owner="other", mark="other", id="")
    sha = held.stage(b"kernel")
    batch = launch.LaunchBatch(other.writable, "other", {})
    batch.classify(document("db-0", images=[sha]))
    batch.write_records()
    assert batch.new_keys == ["db-0.0123abcd"]
    held.do("collect-garbage")
    batch.commit()
    (outcome,) = batch.outcomes()
    assert outcome["problem"]["kind"] == "no-image"
    assert guarded_read.list_names(held.root.instances("other")) == []
    assert other.do("survey", owner="other", mark="other", full={})["leftovers"] == 0
    other.do("release", owner="other")


def test_an_image_that_is_collected_just_before_it_is_pinned_is_pulled(held: World) -> None:
    other = World(held.root.path)
    other.acquire(owner="other", mark="other", id="")
    held.stage(IMAGE)
    had: list[bool] = []
    ask = {"owner": "other", "digest": SHA, "size": len(IMAGE)}
    staging = threading.Thread(target=lambda: had.append(other.do("stage", IMAGE, **ask)["had"]))
    with locks.LockGuard(held.root.host_lock):
        # As a collect that has looked at the pins: this one comes too late.
        staging.start()
        staging.join(0.2)
        image(held).unlink()
    staging.join(60)
    assert had == [False]
    assert image(held).read_bytes() == IMAGE
    other.do("release", owner="other")


def test_the_images_of_the_last_revisions_stay_so_that_going_back_works(held: World) -> None:
    shas, gone = [], []
    for n in range(5):
        shas.append(held.stage(b"kernel %d" % n))
        gone.append(collected(held, f"c{n}", shas[-1], bound=3))
    assert gone == [[], [], [], shas[:1], shas[1:2]]


def test_a_damaged_image_is_dropped_though_a_revision_names_it_but_not_while_somebody_runs_from_it(held: World) -> None:
    used, old = held.stage(b"used"), held.stage(b"old")
    held.launch(document(images=[used]))
    assert collected(held, "c1", used, old) == []
    for sha in (used, old):
        Path(held.root.images, sha).chmod(0o644)
        Path(held.root.images, sha).write_bytes(b"no")
    assert collected(held, "c1", used, old) == [old]


def test_revisions_of_the_same_images_are_one_and_take_no_place(held: World) -> None:
    old, new = held.stage(b"old"), held.stage(b"new")
    collected(held, "c1", old, new)
    for n in range(20):
        assert collected(held, f"d{n}", new, bound=2) == []
    assert [row["revision"] for row in retention.retained_revisions(held.root, OWNER) or ()] == ["d19", "c1"]


def test_what_another_fleet_keeps_is_kept_and_while_that_is_unreadable_everything(held: World) -> None:
    other = World(held.root.path)
    other.acquire(owner="other", mark="other", id="")
    theirs, surplus = held.stage(b"theirs"), held.stage(b"surplus")
    other.do("stage", b"theirs", owner="other", digest=theirs, size=6)
    other.do("collect-garbage", owner="other", images=[theirs], revision="c1")
    told = Path(held.root.fleet("other") + "/revisions.json")
    whole = told.read_text()
    told.write_text(whole[:-9])
    held.stage(b"surplus")
    assert collected(held, "c1") == []
    told.write_text(whole)
    assert collected(held, "c1") == [surplus]
    other.do("release", owner="other")


def test_an_inventory_says_who_uses_an_image_why_it_is_kept_and_what_is_damaged(held: World) -> None:
    used, old = held.stage(b"used"), held.stage(b"old")
    held.launch(document(images=[used]))
    collected(held, "c1", old, used)
    collected(held, "c2", used)
    Path(held.root.images, ".partial-" + "a" * 64).write_bytes(b"half")
    rows = {row["digest"]: row for row in held.do("inventory")["images"]}
    assert rows[used]["used"] == [{"owner": OWNER, "key": "web-0.0123abcd"}]
    assert [row["revision"] for row in rows[used]["kept"]] == ["c2", "c1"]
    assert ([row["revision"] for row in rows[old]["kept"]], rows[old]["used"]) == (["c1"], [])
    assert (rows[old]["size"], rows[old]["state"]) == (3, "whole")
    assert (rows["a" * 64]["size"], rows["a" * 64]["state"]) == (4, "partial")
    Path(held.root.images, old).chmod(0o644)
    Path(held.root.images, old).write_bytes(b"new")
    assert {row["digest"]: row["state"] for row in held.do("inventory", check=True)["images"]}[old] == "damaged"


def test_an_inventory_says_what_a_volume_takes_and_who_has_it(held: World) -> None:
    held.do("volume", action="create", name="orders", size=1 << 20)
    held.do("volume", action="create", name="spare", size=4096)
    held.launch(document(volumes=["orders"]))
    rows = {row["name"]: row for row in held.do("inventory")["volumes"]}
    assert rows["orders"]["used_by"] == "web-0.0123abcd"
    assert rows["orders"]["allocated"] >= 1 << 20
    assert rows["spare"]["used_by"] == ""


def test_the_ledger_is_read_in_the_order_of_tokens_and_a_torn_line_is_ignored(held: World) -> None:
    held.do("append-ledger", entry={"what": "first"})
    with Path(held.root.fleet(OWNER) + "/ledger.jsonl").open("ab") as file:
        file.write(b'{"token": 1, "wha')
    held.release()
    held.acquire()
    held.do("append-ledger", entry={"what": "second"})
    entries = held.do("read-ledger", limit=0)["entries"]
    assert [(entry["token"], entry["what"]) for entry in entries] == [(1, "first"), (2, "second")]
    assert [entry["what"] for entry in held.do("read-ledger", limit=1)["entries"]] == ["second"]


def test_the_ledger_is_bounded(held: World) -> None:
    for number in range(50):
        held.do("append-ledger", entry={"n": number, "text": "x" * 100}, bound=4000)
    entries = held.do("read-ledger", limit=0)["entries"]
    assert Path(held.root.fleet(OWNER) + "/ledger.jsonl").stat().st_size < 4400
    assert entries[-1]["n"] == 49


def test_a_survey_tells_how_long_the_last_complete_applies_took_from_the_end_of_the_ledger(held: World) -> None:
    assert held.do("survey")["applies"] == []
    for at in range(5):
        held.do(
            "append-ledger", entry={"at": at, "end": "complete", "took": {"launch": [at, 1]}, "services": "x" * 20_000}
        )
        held.do("append-ledger", entry={"at": at, "end": "failed", "took": {"launch": [9, 1]}})
    with Path(held.root.fleet(OWNER) + "/ledger.jsonl").open("ab") as file:
        file.write(b'{"token": 1, "wha')
    assert held.do("survey")["applies"] == [{"at": at, "took": {"launch": [at, 1]}} for at in (2, 3, 4)]


def test_a_survey_tells_the_latest_word_of_the_gates_however_long_the_ledger_is(held: World) -> None:
    assert held.do("survey")["gates"] == []
    held.do("append-ledger", entry={"at": 1.0, "unhealthy": {"api": ["1:ab", "1:cd"]}})
    held.do("append-ledger", entry={"at": 2.0, "text": "x" * 100_000, "proved": {"api": ["1:ab"]}})
    assert held.do("survey")["gates"] == [
        {"service": "api", "fingerprint": "1:cd", "at": 1.0, "healthy": False},
        {"service": "api", "fingerprint": "1:ab", "at": 2.0, "healthy": True},
    ]
    held.do("append-ledger", entry={"at": 3.0, "unhealthy": {"db": [f"1:{n}" for n in range(1000)]}})
    told = held.do("survey")["gates"]
    assert len(told) == 256
    assert told[-1]["fingerprint"] == "1:999"
    Path(held.root.fleet(OWNER) + "/gates.json").write_bytes(b"{")
    assert held.do("survey")["gates"] == []


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
    size = atomic.free_bytes(world.root.path) - leave
    path.write_bytes(b"x" * size)
    return path


def test_a_full_disk_is_told_with_path_and_free_bytes(small: World) -> None:
    fill(small, leave=8192)
    with pytest.raises(errors.HostError) as problem:
        small.do("stage", IMAGE, digest=SHA, size=len(IMAGE))
    assert problem.value.kind == "no-room"
    assert "8192 are free" in problem.value.text
    assert problem.value.path


def test_a_volume_that_does_not_fit_leaves_nothing(small: World) -> None:
    with pytest.raises(errors.HostError) as problem:
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


def test_a_similar_image_that_loses_bytes_while_it_is_used_does_no_harm(held: World) -> None:
    """Cut short after its blocks are known, as a disk does that fails: what was to be taken of it is pulled."""
    held.stage(IMAGE)
    new = IMAGE[:300_000] + b"new" + IMAGE[300_000:]
    sha = hashlib.sha256(new).hexdigest()

    class Cut(Call):
        def index(self) -> bytes:
            image(held).chmod(0o644)
            os.truncate(image(held), 4096)
            return super().index()

    images.stage(
        held.writable, {"owner": OWNER, "digest": sha, "size": len(new), "like": [SHA]}, Cut(held.connection, new)
    )
    assert (Path(held.root.images) / sha).read_bytes() == new
