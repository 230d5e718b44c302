"""What needs no image: a fleet is looked at and taken down also where its images and its lock are gone."""

import pytest

from tests.operations.fleets import TryFleet


@pytest.mark.real
def test_a_fleet_without_its_images_and_its_lock_is_looked_at_and_taken_down(fleet: TryFleet) -> None:
    fleet.edit("replicas: 3", "replicas: 1")
    # A host that is alone binds what it forwards to loopback, whatever its address.
    fleet.edit("connect: local,", "connect: local, address: 10.77.0.11,")
    assert fleet.apply().code == 0
    assert {row["address"] for row in fleet.rows().values()} == {"127.0.0.1"}
    (fleet.folder / "hello.elf").unlink()
    known = fleet.run("status")
    (fleet.folder / "fleet.lock").unlink()
    status, taken = fleet.run("status"), fleet.run("plan", "-destroy")
    assert (known.code, status.code, taken.code) == (0, 0, 0), known.err + status.err + taken.err
    assert "2 instances, 2 running, 2 healthy" in status.out and f"*:{fleet.port}" in status.out
    assert "front.http 127.0.0.1:" in " ".join(known.out.split()) and "(fleet.lock does not say)" not in known.out
    assert "front.http (fleet.lock does not say)" in " ".join(status.out.split())
    assert "Plan: 0 to add, 0 to replace, 2 to destroy" in taken.out
    for command in ("images", "volumes", "locks"):
        assert fleet.run(command).code == 0
    assert fleet.logs("front-0").code == 0
    # What stays has to listen on where it listens: that stood in the lock alone.
    part = fleet.run("destroy", "-auto-approve", "-target", "front")
    assert part.code == 3 and "fleet.lock does not say where counter.http, front.http listen" in part.err
    gone = fleet.run("destroy", "-auto-approve")
    assert gone.code == 0, gone.out + gone.err
    assert fleet.processes() == [] and not (fleet.folder / "fleet.lock").exists()


@pytest.mark.real
def test_a_lock_that_a_merge_left_damaged_is_in_nobodys_way_who_looks_or_takes_down_all(fleet: TryFleet) -> None:
    (fleet.folder / "fleet.lock").write_text("<<<<<<< ours\n")
    assert fleet.run("status").code == 0
    assert fleet.run("plan", "-destroy").code == 0
    part = fleet.run("plan", "-destroy", "-target", "front")
    assert part.code == 3 and "fleet.lock:1:1" in part.err


@pytest.mark.real
def test_a_pipeline_that_names_a_volume_to_delete_may_do_so_again(fleet: TryFleet) -> None:
    fleet.edit(r"(?s)\n  front:.*?(?=\nnetworks)", "\n")
    assert fleet.apply().code == 0
    fleet.edit(r"(?s)volumes:\n  count.*?(?=templates)", "")
    fleet.edit(r"(?s)services:.*(?=\nnetworks)", "")
    words = ("-allow-destroy", "1", "-allow-destroy", "volume:count")
    first, second = fleet.apply(*words), fleet.apply(*words)
    assert first.code == 0 and "2 destroyed" in first.out, first.out + first.err
    assert second.code == 0, second.out + second.err
    assert "volume count is gone already: an earlier apply was told to delete it" in second.out
    third = fleet.apply("-allow-destroy", "volume:cuont")
    assert third.code == 1 and "no host has a volume 'cuont'" in third.err
