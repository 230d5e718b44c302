"""The streams, environment and terminal of a command, passed in once by `cli.main`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TextIO

from unictl.diagnostics.failure import Failure
from unictl.terminal.paint import paint
from unictl.views.text.spans import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Streams, environment and terminal.

    ``is_interactive``: somebody can be asked; ``is_live``: the output is a screen.

    ``is_read_only``: nothing is done but printing, and whoever has read enough may go.
    """

    environment: Mapping[str, str]
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    width: int = 80
    height: int = 24
    colour: bool = False
    colour_errors: bool = False
    is_interactive: bool = False
    is_live: bool = False
    holder: str = ""
    is_read_only: bool = False

    def write(self, lines: Iterable[Line]) -> None:
        """Lines to the output, as ``put``."""
        self.put("".join(paint(line, self.colour) + "\n" for line in lines))

    def put(self, text: str) -> None:
        """Text as it is to the output. Failure where it cannot be taken; BrokenPipeError where a reader that is wanted
        has gone."""
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except BrokenPipeError:
            if not self.is_read_only:
                raise
        except OSError as error:
            hint = "make room, or send it elsewhere"
            raise Failure(f"the output cannot be written: {error.strerror}", hint=hint) from None

    def write_errors(self, lines: Iterable[Line]) -> None:
        """Lines to the error output."""
        self.stderr.writelines(paint(line, self.colour_errors) + "\n" for line in lines)
        self.stderr.flush()
