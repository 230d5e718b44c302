"""The command as a process: what it imports, what it costs, how it is interrupted."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_HEAVY = {"click", "rich", "yaml", "jsonschema", "networkx", "git", "asyncio"}
_RUN = "import sys, json; from unictl.cli.main import main, os; argv = sys.argv[1:]\n"
_MODULES = "print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
_APPLY = """
import sys, time, signal
from tests.views import samples
from types import ModuleType
import unictl.operations.planning
from unictl.journal.event import Began, Started
from unictl.journal.report import Report
plan, apply = ModuleType("unictl.operations.planning.plans"), ModuleType("unictl.operations.planning.apply")
plan.make_plan = lambda *_: samples.plan(samples.bump(1))
plan.is_planfile = lambda _: False
def work(plan, options, tell, interrupts):
    tell(Began(at=time.monotonic(), steps=1))
    tell(Started(at=time.monotonic(), step=samples.STEP))
    print("READY", flush=True)
    while not (interrupts.count and {stop}):
        time.sleep(0.01)
    return Report(in_flight=(samples.STEP,), interrupted=True)
apply.apply_plan = work
for module in (plan, apply):
    sys.modules[module.__name__] = module
    setattr(unictl.operations.planning, module.__name__.rpartition(".")[2], module)
from unictl.cli.main import script
sys.argv = ["unictl", "apply", "-auto-approve"]
sys.exit(script())
"""


def _python(code: str, *argv: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=False, **options)


def _imported(*argv: str, cwd: Path | None = None) -> set[str]:
    code = f"{_RUN}main(argv, os.environ, sys.stdin, sys.stdout, sys.stderr)\n{_MODULES}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = _python(code, *argv, cwd=cwd, env=environment)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_version_imports_nothing_of_weight() -> None:
    assert not _imported("--version") & (_HEAVY | {"dataclasses", "importlib_metadata"})


def test_a_completion_imports_nothing_of_weight() -> None:
    assert not _imported("completion", "bash") & _HEAVY


def test_help_and_a_typo_import_no_more_than_the_parser() -> None:
    for argv in (["--help"], ["plan", "--help"], ["plna"]):
        assert not _imported(*argv) & (_HEAVY - {"click"})


def test_a_validation_imports_no_graph_no_git_no_loop_and_no_screen(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("fleet: shop\nhosts: {here: {connect: local}}\n")
    assert not _imported("validate", str(tmp_path)) & {"networkx", "git", "asyncio", "rich"}


def test_a_status_imports_no_graph(tmp_path: Path) -> None:
    host = f"{{connect: local, root: {tmp_path}/host, address: 127.0.0.1}}"
    (tmp_path / "fleet.yaml").write_text(f"fleet: {{name: shop, id: 5f0c2a}}\nhosts: {{here: {host}}}\n")
    modules = _imported("status", str(tmp_path))
    assert "asyncio" in modules and "networkx" not in modules


def test_a_reader_that_goes_away_leaves_no_word_on_the_error_output() -> None:
    code = "import sys; from unictl.cli.main import script; sys.argv[0] = 'unictl'; sys.exit(script())"
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as gone:
        done = subprocess.run(
            [sys.executable, "-c", code, "plan", "--help"], stdout=gone, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.stderr == ""


def _start(stop: str, terminal: int | None = None) -> subprocess.Popen[str]:
    out = subprocess.PIPE if terminal is None else terminal
    code = _APPLY.replace("{stop}", stop)
    return subprocess.Popen([sys.executable, "-c", code], stdout=out, stderr=subprocess.STDOUT, text=True)


def _read_until(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout
    told = ""
    for line in process.stdout:
        told += line
        if word in line:
            break
    return told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interrupt_lets_steps_in_flight_end_and_says_so(number: signal.Signals) -> None:
    with _start("True") as process:
        _read_until(process, "READY")
        process.send_signal(number)
        told = process.communicate(timeout=20)[0]
    assert process.returncode == 130 and "Apply interrupted:" in told
    assert "Stopping: steps in flight end, no new one starts. Press Ctrl-C again to leave at once." in told


def test_the_second_interrupt_leaves_at_once() -> None:
    with _start("False") as process:
        _read_until(process, "READY")
        process.send_signal(signal.SIGINT)
        _read_until(process, "Stopping")
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=20)[0]
    assert process.returncode == 130 and "Left at once." in told and time.monotonic() - began < 5


def test_leaving_at_once_gives_the_terminal_back() -> None:
    leader, follower = pty.openpty()
    with _start("False", follower) as process, os.fdopen(leader, "rb", buffering=0) as terminal:
        os.close(follower)
        told = b""
        while b"READY" not in told:
            told += terminal.read(4096)
        process.send_signal(signal.SIGINT)
        while b"Stopping" not in told:
            told += terminal.read(4096)
        process.send_signal(signal.SIGINT)
        while b"Left at once." not in told:
            told += terminal.read(4096)
        assert process.wait(timeout=20) == 130
    assert told.rindex(b"\x1b[?25h") > told.rindex(b"\x1b[?25l")


_SCRIPT = "import sys; from unictl.cli.main import script; sys.exit(script())"
SILENT = "fleet: {{name: shop, id: 5f0c2a}}\nhosts: {{hv1: {{connect: 'ssh://127.0.0.1:{port}', address: 10.0.0.1}}}}\n"


@pytest.fixture
def unreached(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    """A fleet whose only host takes connections, or lets them wait, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        (tmp_path / "fleet.yaml").write_text(SILENT.format(port=listener.getsockname()[1]))
        yield tmp_path, listener


def _asking(folder: Path, *argv: str, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", _SCRIPT, *argv, str(folder)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, **options
    )


def _ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _heard() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize(
    ("argv", "number", "before"),
    [
        (("plan",), signal.SIGINT, _heard),
        (("apply", "-auto-approve"), signal.SIGTERM, _heard),
        (("logs", "api"), signal.SIGTERM, _heard),
        (("status",), signal.SIGTERM, _ignored),
    ],
)
def test_an_interrupt_while_a_host_is_being_reached_leaves_at_once_with_a_word(
    unreached: tuple[Path, socket.socket], argv: tuple[str, ...], number: signal.Signals, before: Callable[[], None]
) -> None:
    folder, listener = unreached
    with _asking(folder, *argv, preexec_fn=before) as process, listener.accept()[0]:
        began = time.monotonic()
        process.send_signal(number)
        told = process.communicate(timeout=20)[0]
    assert (process.returncode, told.strip()) == (130, "Interrupted.")
    assert time.monotonic() - began < 5


def test_an_output_that_is_closed_is_no_traceback() -> None:
    run = "import sys; from unictl.cli.main import script; sys.argv = ['unictl', 'schema', 'plan']; sys.exit(script())"
    closed = 'exec "$0" -c "$1" >&-'
    done = subprocess.run(["sh", "-c", closed, sys.executable, run], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
