"""The screen of an apply: plain lines with a heartbeat, and a live region on a real pseudo-terminal."""

import io
import os
import pty
import select

import pytest

from tests.views.samples import STEP
from unictl.journal.event import Began, Finished, Started
from unictl.terminal.abort import abort_handler
from unictl.terminal.screen import Screen
from unictl.views.text.progress import STOPPING


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Gone(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


def _plain(stream: io.StringIO, clock: _Clock, **options) -> Screen:
    return Screen(stream, clock=clock, live=False, **options)


def test_elsewhere_than_on_a_terminal_what_ended_is_one_plain_line() -> None:
    stream, clock = io.StringIO(), _Clock()
    with _plain(stream, clock) as screen:
        screen.show_event(Began(at=0, steps=1))
        screen.show_event(Started(at=0, step=STEP))
        screen.show_event(Finished(at=2, step=STEP))
    assert stream.getvalue() == "api-0.7f3c9a1b: launched on hv1 [2s]\n"


def test_a_heartbeat_comes_every_ten_seconds_and_not_sooner() -> None:
    stream, clock = io.StringIO(), _Clock()
    screen = _plain(stream, clock)
    screen.show_event(Started(at=0, step=STEP))
    for clock.now in (1.0, 9.9, 10.0, 15.0, 20.5):
        screen.tick()
    assert stream.getvalue().splitlines() == [f"Still: api-0.7f3c9a1b: launch on hv1 [{t}]" for t in ("10s", "20s")]


def test_a_stop_is_said_once() -> None:
    stream, clock, asked = io.StringIO(), _Clock(), [False]
    screen = _plain(stream, clock, is_stopping=lambda: asked[0])
    screen.tick()
    asked[0] = True
    screen.tick()
    screen.tick()
    assert stream.getvalue() == STOPPING + "\n"


def test_a_reader_that_goes_away_does_not_stop_the_apply() -> None:
    with _plain(_Gone(), _Clock()) as screen:
        screen.show_event(Started(at=0, step=STEP))
        screen.show_event(Finished(at=2, step=STEP))
        screen.show_event(Finished(at=2, step=STEP))


def test_the_screens_thread_ends_with_it() -> None:
    screen = _plain(io.StringIO(), _Clock())
    with pytest.raises(RuntimeError, match="boom"), screen:
        raise RuntimeError("boom")
    assert not screen._thread.is_alive()


def _on_a_terminal(colour: bool, fail: bool = False) -> str:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream, os.fdopen(leader, "rb", buffering=0) as terminal:
        clock = _Clock()
        try:
            with Screen(stream, clock=clock, live=True, colour=colour, width=80, height=24) as screen:
                screen.show_event(Began(at=0, steps=2))
                screen.show_event(Started(at=0, step=STEP))
                clock.now = 3.0
                screen.tick()
                if fail:
                    raise KeyboardInterrupt
                screen.show_event(Finished(at=4, step=STEP))
        except KeyboardInterrupt:
            pass
        told = b""
        while select.select([terminal], [], [], 0.2)[0]:
            told += terminal.read(65536)
    return told.decode()


def test_on_a_terminal_what_is_in_flight_is_drawn_and_what_ended_stays() -> None:
    told = _on_a_terminal(colour=True)
    assert "api-0.7f3c9a1b: launch on hv1" in told and "3s" in told
    assert "launched on hv1" in told.replace("\x1b[0m", "") and "\x1b[32mapi-0.7f3c9a1b\x1b[0m" in told


@pytest.mark.parametrize("fail", [False, True])
def test_the_terminal_is_given_back_whatever_happened(fail: bool) -> None:
    told = _on_a_terminal(colour=False, fail=fail)
    assert told.rindex("\x1b[?25h") > told.rindex("\x1b[?25l")


def test_without_colour_a_live_region_has_none() -> None:
    told = _on_a_terminal(colour=False)
    assert "\x1b[32m" not in told and "\x1b[1m" not in told


def test_leaving_at_once_restores_the_terminal_and_ends_with_130() -> None:
    reader, writer = os.pipe()
    codes: list[int] = []
    with os.fdopen(writer, "w") as stream:
        abort_handler(stream, True, codes.append)()
    with os.fdopen(reader) as told:
        text = told.read()
    assert codes == [130] and text.startswith("\x1b[0m\x1b[?25h\n") and "Left at once." in text


def test_leaving_ends_the_process_also_where_nothing_can_be_said() -> None:
    codes: list[int] = []
    abort_handler(io.StringIO(), False, codes.append)()
    assert codes == [130]
