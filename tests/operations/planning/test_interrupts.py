"""Stopping an apply on a real terminal: what is in flight ends, the rest is named, and the terminal is as it was."""

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.operations.fleets import UNICTL, TryFleet

pytestmark = pytest.mark.real
SHOWN = "\x1b[?25h"
"""What a terminal is sent to show its cursor again."""
LIMIT = 60.0


class Terminal:
    """An apply on a pseudo terminal of its own; ``text`` is all it wrote so far."""

    def __init__(self, fleet: TryFleet, *words: str):
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.text = ""
        argv = [*UNICTL, "apply", str(fleet.folder), "-auto-approve", *words]
        self.process = subprocess.Popen(
            argv,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**{key: value for key, value in os.environ.items() if key != "CI"}, "TERM": "xterm"},
        )
        self.theirs = theirs

    def read_until(self, *words: str) -> None:
        """Take what it writes until it has said all of these."""
        deadline = time.monotonic() + LIMIT
        while not all(word in self.text for word in words):
            assert time.monotonic() < deadline, self.text
            assert self._read(0.2) or self.process.poll() is None, self.text

    def end(self) -> int:
        """Its exit code, with everything it wrote."""
        deadline = time.monotonic() + LIMIT
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.text
            self._read(0.2)
        while self._read(0.1):
            pass
        return self.process.returncode

    def close(self) -> None:
        """Whatever it does, it has ended after this."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)

    def _read(self, patience: float) -> bool:
        if not select.select([self.ours], [], [], patience)[0]:
            return False
        self.text += os.read(self.ours, 65536).decode(errors="replace")
        return True


@contextmanager
def applying(fleet: TryFleet, proven: str = "2s") -> Iterator[Terminal]:
    """An apply whose counter takes so long to be proven, with the fronts waiting for it."""
    fleet.edit("replicas: 3", "replicas: 1")
    fleet.edit("min_healthy_time: 500ms", f"min_healthy_time: {proven}")
    terminal = Terminal(fleet)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_what_is_in_flight_end_and_says_how_to_go_on(
    fleet: TryFleet, number: signal.Signals
) -> None:
    with applying(fleet) as terminal:
        terminal.read_until("counter-0", "launched on")
        terminal.process.send_signal(number)
        assert terminal.end() == 130, terminal.text
        assert "Stopping: steps in flight end" in terminal.text
        assert "because you asked to stop" in terminal.text
        assert "To go on: unictl apply" in terminal.text
        assert SHOWN in terminal.text
        assert termios.tcgetattr(terminal.theirs) == terminal.before
    rows = fleet.rows()
    assert list(rows) == ["counter-0"]
    assert rows["counter-0"]["health"] == "healthy"
    assert fleet.apply().code == 0
    assert fleet.rows()["counter-0"]["generation"] == rows["counter-0"]["generation"]


def test_the_second_signal_leaves_at_once_and_nothing_is_lost(fleet: TryFleet) -> None:
    # Long enough that the second signal comes before the end, also on a busy machine.
    with applying(fleet, "15s") as terminal:
        terminal.read_until("counter-0", "launched on")
        terminal.process.send_signal(signal.SIGINT)
        terminal.read_until("Stopping: steps in flight end")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130, terminal.text
        assert "Left at once." in terminal.text
        assert SHOWN in terminal.text
        assert termios.tcgetattr(terminal.theirs) == terminal.before
    fleet.edit("min_healthy_time: 15s", "min_healthy_time: 500ms")
    assert fleet.apply("-lock-timeout", "30s").code == 0
    assert sorted(fleet.rows()) == ["counter-0", "front-0"]


def test_a_signal_while_another_apply_is_waited_for_ends_the_wait_and_touches_nothing(fleet: TryFleet) -> None:
    with applying(fleet, "8s") as first:
        first.read_until("counter-0", "launched")
        second = Terminal(fleet, "-lock-timeout", "50s")
        try:
            second.read_until("is being changed by")
            second.process.send_signal(signal.SIGINT)
            assert second.end() == 130, second.text
            assert "nothing was touched" in " ".join(second.text.split())
            assert first.process.poll() is None
        finally:
            second.close()


def test_whoever_waited_for_another_apply_plans_anew_and_does_what_is_left(fleet: TryFleet) -> None:
    with applying(fleet) as first:
        first.read_until("counter-0", "launched")
        second = fleet.apply("-replace", "front-0", "-lock-timeout", "50s")
        assert first.end() == 0, first.text
    assert second.code == 0, second.out + second.err
    assert "planning again" in second.out
    assert second.out.splitlines()[-1] == "Apply complete: 0 added, 1 replaced, 0 destroyed, 0 adjusted."
