"""The accelerator is found by running a guest: stand-ins for a QEMU that misbehaves, and the real one."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import unictl
import unictl.onhost
from tests.onhost.world import World
from unictl.hosts.archive import build_zip
from unictl.onhost.hypervisors.qemu import accelerator, accelerator_trials
from unictl.onhost.platform import privileges
from unictl.onhost.storage import guarded_read, identifiers, layout

QEMU = shutil.which("qemu-system-x86_64") or ""
SPOKEN = "unictl-probe 1\nlong-mode begin\nlong-mode ok\nsse begin\nsse ok\nloop begin 1000000"

GOOD = f"printf '{SPOKEN}\\n'; sleep 0.02; printf 'loop end 1000000\\ndone\\n'; exit 33"
FAST = f"printf '{SPOKEN}\\n'; sleep 0.002; printf 'loop end 1000000\\ndone\\n'; exit 33"
SLOW = f"printf '{SPOKEN}\\n'; sleep 60"
HUNG = "printf 'unictl-probe 1\\nlong-mode begin\\nlong-mode ok\\nsse begin\\n'; sleep 60"
BROKEN = "printf 'unictl-probe 1\\nsse begin\\nKVM internal error. Suberror: 1\\nemulation failure\\n'; sleep 60"
WRONG = f"printf '{SPOKEN}\\nloop end 1000000\\nsse wrong\\ndone\\n'; exit 33"
REFUSED = "echo 'qemu-system-x86_64: Could not access KVM kernel module: Permission denied' >&2; exit 1"


@pytest.fixture
def root(world: World, monkeypatch: pytest.MonkeyPatch) -> layout.StoreLayout:
    """A store, on a machine whose accelerators are called one, two, three and may not hang for long."""
    monkeypatch.setattr(accelerator_trials, "CANDIDATES", (("one", "a"), ("two", "b"), ("three", "c")))
    monkeypatch.setattr(accelerator_trials, "TIME_LIMIT", 4.0)
    # The stand-ins lie in a folder of the test, which is closed to other users.
    monkeypatch.setattr(privileges, "instance_uid", lambda *_: None)
    return world.root


def stand_in(root: layout.StoreLayout, **scripts: str) -> str:
    """A QEMU that behaves as told under each accelerator, and counts how often it was started."""
    cases = "".join(f"{accel}) {script} ;;\n" for accel, script in scripts.items())
    path = Path(root.path + "/qemu")
    path.write_text(f'#!/bin/sh\necho "$2" >> {root.path}/starts\ncase "$2" in\n{cases}esac\nexit 1\n')
    path.chmod(0o755)
    return str(path)


def starts(root: layout.StoreLayout) -> list[str]:
    path = Path(root.path + "/starts")
    return sorted(path.read_text().split()) if path.exists() else []


def found(root: layout.StoreLayout, **scripts: str) -> dict[str, Any]:
    chosen = accelerator.choose(root, stand_in(root, **scripts))
    assert chosen is not None
    return chosen


def row(chosen: dict[str, Any], accel: str) -> dict[str, Any]:
    return next(each for each in chosen["tried"] if each["accel"] == accel)


def children() -> set[str]:
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


def test_the_fastest_that_works_is_taken(root: layout.StoreLayout) -> None:
    chosen = found(root, one=GOOD, two=FAST, three=REFUSED)
    assert (chosen["accel"], chosen["cpu"]) == ("two", "b")
    assert chosen["loops_per_second"] == row(chosen, "two")["loops_per_second"]
    assert row(chosen, "two")["loops_per_second"] > row(chosen, "one")["loops_per_second"] > 0
    assert row(chosen, "three") == {
        "accel": "three",
        "cpu": "c",
        "works": False,
        "stage": "start",
        "loops_per_second": 0,
        "why": "ended at start with status 1: Could not access KVM kernel module: Permission denied",
    }


def test_one_that_hangs_is_ended_and_named_with_where_it_hung(root: layout.StoreLayout) -> None:
    before = children()
    began = time.monotonic()
    chosen = found(root, one=GOOD, two=HUNG, three=HUNG)
    assert time.monotonic() - began < 30
    assert chosen["accel"] == "one"
    assert (row(chosen, "two")["works"], row(chosen, "two")["stage"]) == (False, "sse")
    assert "hung at sse" in row(chosen, "two")["why"]
    assert children() == before


def test_one_that_is_paused_by_a_fault_is_not_waited_for(
    root: layout.StoreLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator_trials, "TIME_LIMIT", 40.0)
    began = time.monotonic()
    chosen = found(root, one=GOOD, two=BROKEN, three=BROKEN)
    assert time.monotonic() - began < 30
    assert row(chosen, "two")["why"] == "stopped at sse: KVM internal error. Suberror: 1"


def test_one_that_cannot_win_any_more_is_not_waited_for(
    root: layout.StoreLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator_trials, "TIME_LIMIT", 40.0)
    began = time.monotonic()
    chosen = found(root, one=GOOD, two=SLOW, three=SLOW)
    assert time.monotonic() - began < 30
    assert (row(chosen, "two")["stage"], row(chosen, "two")["why"]) == ("loop", "slower than another accelerator")


def test_one_that_counts_wrong_does_not_work_however_it_ends(root: layout.StoreLayout) -> None:
    chosen = found(root, one=GOOD, two=WRONG, three=WRONG)
    assert chosen["accel"] == "one"
    assert not row(chosen, "two")["works"]


def test_a_further_model_of_an_accelerator_that_works_is_not_tried(
    root: layout.StoreLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator_trials, "CANDIDATES", (("one", "a"), ("one", "b"), ("one", "c")))
    monkeypatch.setattr(accelerator_trials, "_core_count", lambda: 1)
    assert [each["cpu"] for each in found(root, one=GOOD)["tried"]] == ["a"]


def test_the_answer_is_remembered_for_the_boot_and_this_qemu(root: layout.StoreLayout) -> None:
    qemu = stand_in(root, one=GOOD, two=REFUSED, three=REFUSED)
    Path(root.path + "/accelerator-of-another-boot.json").write_text("{}")
    first = accelerator.choose(root, qemu)
    assert accelerator.choose(root, qemu) == first
    assert starts(root) == ["one", "three", "two"]
    assert [name for name in guarded_read.list_names(root.path) if name.startswith("accelerator-")] == [
        f"accelerator-{identifiers.boot_id()}.json"
    ]
    os.utime(qemu, (1, 1))
    accelerator.choose(root, qemu)
    assert len(starts(root)) == 6


def test_a_damaged_memory_is_no_memory(root: layout.StoreLayout) -> None:
    qemu = stand_in(root, one=GOOD, two=REFUSED, three=REFUSED)
    Path(f"{root.path}/accelerator-{identifiers.boot_id()}.json").write_text("{")
    chosen = accelerator.choose(root, qemu)
    assert chosen is not None
    assert chosen["accel"] == "one"


def test_where_nothing_works_emulation_is_taken_and_doubted(
    root: layout.StoreLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    qemu = stand_in(root, one=REFUSED, two=REFUSED, three=REFUSED)
    chosen = accelerator.choose(root, qemu)
    assert chosen is not None
    assert (chosen["accel"], chosen["cpu"], chosen["loops_per_second"]) == ("tcg", "max", 0)
    accelerator.choose(root, qemu)
    assert len(starts(root)) == 3
    monkeypatch.setattr(accelerator, "DOUBT_SECONDS", 0.0)
    accelerator.choose(root, qemu)
    assert len(starts(root)) == 6


READ_ONLY = """
mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" -c '
import sys
sys.path.insert(0, sys.argv[1])
from unictl.onhost.hypervisors.qemu import accelerator, accelerator_trials
from unictl.onhost.platform import privileges
from unictl.onhost.storage import layout
accelerator.DOUBT_SECONDS = 0.0
privileges.instance_uid = lambda *_: None
accelerator_trials.CANDIDATES = (("one", "a"),)
chosen = accelerator.choose(layout.StoreLayout(sys.argv[2]), sys.argv[3])
print(chosen["accel"])' "$3" "$1" "$4"
"""
"""Choosing as a unit does, which may only read the store."""


def chosen_within_a_unit(root: layout.StoreLayout, qemu: str) -> str:
    top = Path(unictl.__file__).parents[1]
    words = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", root.path, sys.executable, str(top), qemu]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.real
def test_who_may_only_read_the_store_takes_an_answer_in_doubt_and_finds_one_where_there_is_none(
    root: layout.StoreLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator_trials, "CANDIDATES", (("one", "a"),))
    qemu, trial = tmp_path / "qemu", tmp_path / "trial"
    qemu.write_text(f"#!/bin/sh\n[ -e {trial} ] || exit 1\n{GOOD}\n")
    qemu.chmod(0o755)
    trial.touch()
    assert chosen_within_a_unit(root, str(qemu)) == "one"
    trial.unlink()
    doubted = accelerator.choose(root, str(qemu))
    assert doubted is not None
    assert doubted["accel"] == "tcg"
    trial.touch()
    assert chosen_within_a_unit(root, str(qemu)) == "tcg"


def test_several_who_ask_at_once_probe_once(root: layout.StoreLayout) -> None:
    qemu = stand_in(root, one=GOOD, two=REFUSED, three=REFUSED)
    answers: list[Any] = []
    asking = [threading.Thread(target=lambda: answers.append(accelerator.choose(root, qemu))) for _ in range(8)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert len(starts(root)) == 3
    assert answers == [answers[0]] * 8


def test_without_qemu_there_is_no_answer(root: layout.StoreLayout) -> None:
    assert accelerator.choose(root, "") is None
    assert accelerator.choose(root, root.path + "/none") is None


@pytest.mark.real
@pytest.mark.skipif(not QEMU, reason="needs QEMU")
def test_the_real_probe_finds_something_that_works_here_and_leaves_nothing(world: World) -> None:
    before = children()
    began = time.monotonic()
    chosen = accelerator.choose(world.root, QEMU)
    took = time.monotonic() - began
    assert chosen is not None
    assert row(chosen, "tcg")["works"]
    assert row(chosen, chosen["accel"])["works"]
    assert chosen["loops_per_second"] == max(each["loops_per_second"] for each in chosen["tried"]) > 1_000_000
    for each in chosen["tried"]:
        assert each["works"] or each["why"], each
    assert took < 2 * accelerator_trials.TIME_LIMIT + 1
    assert children() == before


@pytest.mark.real
@pytest.mark.skipif(not QEMU, reason="needs QEMU")
def test_the_probe_travels_in_the_archive_the_host_side_comes_in(world: World) -> None:
    archive = Path(world.root.path) / "side.zip"
    archive.write_bytes(build_zip(Path(unictl.onhost.__file__).parent))
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "from onhost.hypervisors.qemu import accelerator\nfrom onhost.storage import layout\n"
        f"print(accelerator.choose(layout.StoreLayout({world.root.path!r}), {QEMU!r})['loops_per_second'])"
    )
    done = subprocess.run([sys.executable, "-ISc", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 0
