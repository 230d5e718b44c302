"""The probe tells where an accelerator and a processor model fail, and how fast they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.playbooks.machine import PROBE, Machine

pytestmark = pytest.mark.real

STAGES = [
    "unictl-probe 1", "long-mode begin", "long-mode ok", "sse begin", "sse ok", "xgetbv begin", "xgetbv ok",
    "cmpxchg16b begin", "cmpxchg16b ok", "loop begin 2000000", "loop end 2000000", "done",
]  # fmt: skip

Take = Callable[[Machine], Machine]


def test_under_tcg_it_passes_every_stage_in_order_and_exits_with_33(tmp_path: Path, started: Take) -> None:
    probe = started(Machine(tmp_path, PROBE, ""))
    assert probe.wait_for_exit() == 33
    assert probe.console().splitlines() == STAGES


def test_it_needs_no_command_line_and_little_memory(tmp_path: Path, started: Take) -> None:
    probe = started(Machine(tmp_path, PROBE, "", memory=2))
    assert probe.wait_for_exit() == 33


def test_a_processor_without_xsave_is_told_as_such_and_not_as_a_death(tmp_path: Path, started: Take) -> None:
    probe = started(Machine(tmp_path, PROBE, "", more=["-cpu", "qemu64"]))
    assert probe.wait_for_exit() == 33
    assert "xgetbv absent" in probe.console().splitlines()
    assert "xgetbv ok" not in probe.console()


def test_it_is_done_in_well_under_a_second(tmp_path: Path, started: Take) -> None:
    def once() -> float:
        probe = started(Machine(tmp_path, PROBE, ""))
        assert probe.wait_for_exit() == 33
        return time.monotonic() - probe.started

    assert min(once() for _ in range(3)) < 0.5


def test_it_is_a_few_kilobytes() -> None:
    assert PROBE.stat().st_size < 12 * 1024
