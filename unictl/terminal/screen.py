"""Progress of an apply: a live region on a terminal, plain lines with a heartbeat elsewhere. Imports rich.

The stream, the clock, the width and the kind of output are passed in. One lock guards the stream; one thread draws.
The terminal is restored however the screen is left.
"""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Protocol, Self, TextIO

from unictl.journal.event import Event
from unictl.terminal.paint import RESTORE, paint
from unictl.views.text import progress
from unictl.views.text.layout import styled_line
from unictl.views.text.spans import Line

_TICK = 0.1


class Region(Protocol):
    """The part of a terminal that is drawn anew again and again."""

    def draw(self, lines: tuple[Line, ...]) -> None:
        """Show these lines in place of the ones before."""

    def print_above(self, line: Line) -> None:
        """Write a line for good above the region."""

    def close(self) -> None:
        """Remove the region and give the terminal back."""


class LiveRegion:
    """A region by ``rich.live``; rich is imported when the first one is made."""

    def __init__(self, stream: TextIO, width: int, height: int, colour: bool):
        from rich.console import Console
        from rich.live import Live

        self._colour = colour
        self._console = Console(
            file=stream,
            force_terminal=True,
            legacy_windows=False,
            width=width,
            height=height,
            color_system="standard" if colour else None,
            no_color=not colour,
            highlight=False,
            _environ={},
        )
        # The cursor is hidden by Live itself; streams of this process are none of its business.
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def draw(self, lines: tuple[Line, ...]) -> None:
        """Show these lines in place of the ones before."""
        from rich.text import Text

        painted = "\n".join(paint(line, self._colour) for line in lines)
        text = Text.from_ansi(painted, no_wrap=True, overflow="crop")
        self._live.update(text, refresh=True)

    def print_above(self, line: Line) -> None:
        """Write a line for good above the region."""
        from rich.text import Text

        self._console.print(Text.from_ansi(paint(line, self._colour)), soft_wrap=True)

    def close(self) -> None:
        """Remove the region and give the terminal back."""
        self._live.stop()


class Screen:
    """Takes events as they come and shows them; ``stopping`` says whether a stop was asked for.

    To be used with ``with``: it restores the terminal whatever happens in between.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Callable[[], float],
        live: bool,
        colour: bool = False,
        width: int = 80,
        height: int = 24,
        is_stopping: Callable[[], bool] = lambda: False,
    ):
        self._stream, self._clock, self._is_stopping = stream, clock, is_stopping
        self._live, self._colour, self._width, self._height = live, colour, width, height
        self._region: Region | None = None
        self._progress = progress.Progress(started_at=clock())
        self._last_heartbeat = clock()
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._stop_announced = False
        self._thread = threading.Thread(target=self._draw_loop, name="screen", daemon=True)

    def __enter__(self) -> Self:
        if self._live:
            self._region = LiveRegion(self._stream, self._width, self._height, self._colour)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        with ExitStack() as stack:
            stack.callback(self._restore)
            stack.callback(self._thread.join, 1.0)
            if kind is None:
                self.tick()

    def show_event(self, event: Event) -> None:
        """Show what this event means; may be called from any thread."""
        with self._lock:
            line = progress.event_line(self._progress, event)
            self._progress = progress.advance(self._progress, event)
            if line:
                self._print_line(line)

    def tick(self) -> None:
        """Draw the region, or beat where there is none and it is time; notice that a stop was asked for."""
        with self._lock:
            self._announce_stop()
            current_time = self._clock()
            if self._region:
                with self._ignoring_closed_output():
                    self._region.draw(
                        progress.region_lines(self._progress, current_time, self._width, self._height // 2)
                    )
            elif current_time - self._last_heartbeat >= progress.HEARTBEAT:
                for line in progress.heartbeat_lines(self._progress, current_time, self._width):
                    self._print_line(line)
                self._last_heartbeat = current_time

    def _announce_stop(self) -> None:
        if self._is_stopping() and not self._stop_announced:
            self._stop_announced = True
            self._print_line(styled_line(progress.STOPPING, "warning"))

    def _print_line(self, line: Line) -> None:
        with self._ignoring_closed_output():
            if self._region:
                self._region.print_above(line)
            else:
                self._stream.write(paint(line, self._colour) + "\n")
                self._stream.flush()

    @contextmanager
    def _ignoring_closed_output(self) -> Iterator[None]:
        """Whoever read our output may go: what is being applied goes on all the same."""
        try:
            yield
        except OSError:
            self._region = None
            self._stream = io.StringIO()

    def _draw_loop(self) -> None:
        while not self._closed.wait(_TICK):
            self.tick()

    def _restore(self) -> None:
        region, self._region = self._region, None
        if region:
            with self._ignoring_closed_output():
                try:
                    region.close()
                finally:
                    self._stream.write(RESTORE)
                    self._stream.flush()
