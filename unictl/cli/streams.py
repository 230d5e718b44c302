"""Where a command reads and writes, and what surrounds it: handed in once by ``cli.main``, never looked up again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TextIO

from unictl.terminal.paint import paint
from unictl.views.spans import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Streams, environment and terminal. ``interactive``: somebody can be asked; ``live``: the output is a screen."""

    environment: Mapping[str, str]
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    width: int = 80
    height: int = 24
    colour: bool = False
    colour_errors: bool = False
    interactive: bool = False
    live: bool = False
    holder: str = ""

    def write(self, lines: Iterable[Line]) -> None:
        """Lines to the output; each is there as soon as it is written."""
        for line in lines:
            self.stdout.write(paint(line, self.colour) + "\n")
        self.stdout.flush()

    def put(self, text: str) -> None:
        """Text as it is to the output."""
        self.stdout.write(text)
        self.stdout.flush()

    def tell(self, lines: Iterable[Line]) -> None:
        """Lines to the error output."""
        self.stderr.writelines(paint(line, self.colour_errors) + "\n" for line in lines)
        self.stderr.flush()
