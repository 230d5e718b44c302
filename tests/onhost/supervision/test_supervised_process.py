"""A supervised process by its parts: whatever starts it and tells of its exit, what follows is decided in one place."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.onhost.world import OWNER, World, document
from unictl.onhost.instances import run_log
from unictl.onhost.platform import event_loop
from unictl.onhost.storage import identifiers
from unictl.onhost.supervision import backends, detached_supervisor, exit_sources, supervisor, systemd_supervisor
from unictl.onhost.supervision.exit_sources import ExitFacts
from unictl.onhost.supervision.supervised_process import SupervisedProcess
from unictl.onhost.systemd import units

KEY = "web-0.0123abcd"


class PlayedLauncher:
    """Starts nothing, and writes down what it was asked."""

    is_pending = False

    def __init__(self) -> None:
        self.calls: list[str] = []

    def launch(self, process: SupervisedProcess, on_started: Callable[[OSError | None], None]) -> None:
        self.calls.append("launch")
        process.await_adoption()
        on_started(None)

    def take_exec_error(self) -> OSError | None:
        return None

    def enable_at_boot(self) -> None:
        self.calls.append("enable")

    def disable_at_boot(self) -> None:
        self.calls.append("disable")


class PlayedExits:
    """An exit that nobody watched, with a cause from outside."""

    def __init__(self, facts: ExitFacts | None, outside: str = "", recorded: bool = False):
        self.facts = facts
        self.outside = outside
        self.recorded = recorded

    def collect(self, child_pid: int, on_facts: Callable[[ExitFacts], None]) -> None:  # noqa: ARG002 - an exit source
        assert self.facts is not None
        on_facts(self.facts)

    def unseen(self, last_entry: dict[str, Any]) -> ExitFacts | None:  # noqa: ARG002 - an exit source
        return self.facts

    def is_recorded(self, start_number: int) -> bool:  # noqa: ARG002 - an exit source
        return self.recorded

    def correct(self, end: dict[str, Any], had_monitor: bool) -> None:
        """Nothing is in doubt."""

    def outside_cause(self, facts: ExitFacts, end: dict[str, Any]) -> str:  # noqa: ARG002 - an exit source
        return self.outside


def recovered(world: World, exits: PlayedExits) -> tuple[SupervisedProcess, PlayedLauncher, dict[str, Any]]:
    """One that ended while no daemon looked, its parts, and what its run log says last."""
    assert world.launch(document())[0]["ok"]
    world.kill_supervisor()
    os.kill(world.pid(KEY), 9)
    deadline = time.monotonic() + 20
    while world.alive(KEY):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    launcher = PlayedLauncher()
    loop = event_loop.EventLoop(lambda: None)
    process = SupervisedProcess(loop, world.root, OWNER, KEY, launcher, exits)
    process.recover()
    return process, launcher, run_log.last_entry(world.root.instance(OWNER, KEY)) or {}


def test_one_that_ended_with_its_host_stays_enabled_and_waits_for_it(held: World) -> None:
    process, launcher, entry = recovered(held, PlayedExits(ExitFacts(signal_number=15), exit_sources.HOST_SHUTDOWN))
    assert (process.state, launcher.calls) == ("requested", [])
    assert (entry["verdict"], entry["reason"], entry["restarting"]) == ("stopped", "the host shut down", True)


def test_one_whose_unit_was_stopped_stays_down_and_starts_with_its_host(held: World) -> None:
    process, launcher, entry = recovered(held, PlayedExits(ExitFacts(signal_number=15), run_log.UNIT_STOPPED))
    assert (process.state, launcher.calls) == ("idle", [])
    assert (entry["verdict"], entry["reason"], entry["restarting"]) == ("killed", run_log.UNIT_STOPPED, False)


def test_one_that_was_to_be_retired_is_judged_by_its_record_whoever_stopped_it(held: World) -> None:
    exits = PlayedExits(None)
    process, launcher, _ = recovered(held, exits)
    Path(held.root.instance(OWNER, KEY), "intent").write_text("stop\n")
    exits.outside = run_log.UNIT_STOPPED
    process._judge(ExitFacts(signal_number=9), {"status": None, "signal": 9, "reason": None})
    assert (process.state, launcher.calls) == ("idle", ["disable"])


def test_an_end_that_the_start_program_wrote_down_is_not_written_again(held: World) -> None:
    process, launcher, entry = recovered(held, PlayedExits(ExitFacts(status=78), recorded=True))
    assert (process.state, launcher.calls) == ("idle", ["disable"])
    assert entry["event"] == "started"


def test_an_end_of_which_nobody_knows_is_written_down_as_that_and_changes_nothing_at_boot(held: World) -> None:
    process, launcher, entry = recovered(held, PlayedExits(None))
    assert (process.state, launcher.calls) == ("idle", [])
    assert (entry["event"], entry["verdict"]) == ("ended", "unknown")


def test_a_unit_tells_of_an_end_that_no_daemon_saw_but_not_why_a_guest_with_a_monitor_ended(tmp_path: Path) -> None:
    source = exit_sources.UnitExitSource(event_loop.EventLoop(lambda: None), str(tmp_path), str(tmp_path))
    entry = {"boot": identifiers.boot_id(), "invocation": "abc"}
    assert source.unseen(entry) is None
    (tmp_path / "exit.abc").write_text("exit-code exited 3\n")
    facts = source.unseen(entry)
    assert facts is not None and (facts.status, facts.cause) == (3, None)
    end: dict[str, Any] = {"status": 0, "signal": None, "reason": None}
    source.correct(end, had_monitor=True)
    assert end == {"status": None, "signal": None, "reason": exit_sources.UNEXPLAINED_EXIT}


@pytest.mark.parametrize("backend", [backends.DetachedBackend, backends.SystemdBackend])
def test_either_backend_makes_the_same_supervised_process(
    held: World, backend: type[backends.DetachedBackend | backends.SystemdBackend]
) -> None:
    process = backend(held.root, OWNER).create_process(event_loop.EventLoop(lambda: None), KEY)
    assert type(process) is SupervisedProcess and process.state == "idle" and process.is_stable


@pytest.mark.parametrize("available", [False, True])
def test_the_supervisor_is_systemd_where_it_can_be(
    held: World, monkeypatch: pytest.MonkeyPatch, available: bool
) -> None:
    monkeypatch.setattr(units, "available", lambda: available)
    kind = systemd_supervisor.SystemdSupervisor if available else detached_supervisor.DetachedSupervisor
    assert type(supervisor.choose(held.writable, OWNER)) is kind
