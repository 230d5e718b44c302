"""A secret reaches the guest that it is for, and one 0600 file beside its record; nothing else ever holds it."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.fleets import Ran, TryFleet

pytestmark = pytest.mark.real
CANARY = "c4n4ry-5f0c2a-never-to-be-seen"
SECRET = "secrets:\n  canary: {env: CANARY}\n"


def planted(fleet: TryFleet) -> TryFleet:
    """The hello fleet whose fronts are told the canary on their command line."""
    fleet.edit("--greeting=hello", "--greeting=${secret.canary}")
    fleet.edit("services:\n", f"{SECRET}services:\n")
    return fleet


@contextlib.contextmanager
def command_lines_seen() -> Iterator[set[bytes]]:
    """Every command line of the machine that was there to be seen meanwhile and holds the canary."""
    seen: set[bytes] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.002):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    with contextlib.suppress(OSError):
                        seen.add((entry / "cmdline").read_bytes())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        over.set()
        watching.join()


def holders(folder: Path, text: str) -> set[str]:
    """Names of the files below ``folder`` that hold ``text``."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file():
            with contextlib.suppress(FileNotFoundError):
                if text.encode() in path.read_bytes():
                    found.add(path.name)
    return found


def said(*ran: Ran) -> str:
    return "".join(each.out + each.err for each in ran)


def test_a_secret_is_in_no_plan_log_ledger_argument_or_document(
    fleet: TryFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    planted(fleet)
    planfile = fleet.folder.parent / "saved.plan"
    shown = [fleet.plan(), fleet.plan("-json"), fleet.run("plan", "-out", str(planfile)), fleet.run("show", "-json")]
    with command_lines_seen() as lines:
        applied = fleet.apply("-json")
    assert applied.code == 0, applied.out + applied.err
    assert any(b"qemu-system" in line for line in lines)
    assert not [line for line in lines if CANARY.encode() in line]
    # It has arrived: the guest answers with it, from the one file that may hold it.
    assert CANARY in fleet.get()
    assert holders(fleet.root, CANARY) == {"boot.cfg"}
    assert {path.stat().st_mode & 0o777 for path in fleet.root.rglob("boot.cfg")} == {0o600}
    shown += [applied, fleet.apply("-replace", "front-1"), fleet.run("status", "-json"), fleet.run("status")]
    shown += [fleet.logs("front-0"), fleet.run("locks", "-json"), fleet.plan("-json")]
    assert CANARY not in said(*shown)
    assert CANARY.encode() not in planfile.read_bytes()
    assert holders(fleet.folder, CANARY) == set()
    assert fleet.run("destroy", "-auto-approve").code == 0
    assert holders(fleet.root, CANARY) == set()


def test_one_that_the_guest_cannot_be_told_is_refused_in_a_sentence_without_it(
    fleet: TryFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", f"{CANARY} it's")
    ran = planted(fleet).apply()
    assert ran.code == 1, ran.out + ran.err
    assert "secret canary of front-" in said(ran)
    assert "holds a single quote, which its command line cannot carry" in " ".join(said(ran).split())
    assert CANARY not in said(ran)
    assert holders(fleet.root, CANARY) == set()


def test_one_that_cannot_be_read_is_a_warning_of_the_plan_and_bars_an_apply_with_its_name_and_place(
    fleet: TryFleet,
) -> None:
    planted(fleet)
    planned, applied = fleet.plan(), fleet.apply()
    text = " ".join(planned.out.split())
    assert planned.code == 2
    assert "warning: secret canary: the variable CANARY is not set; the plan takes it to be unchanged" in text
    assert applied.code == 1 and "nothing was touched" in applied.err
    refused = " ".join(applied.err.split())
    assert "error: secret canary: the variable CANARY is not set" in refused
    line = fleet.yaml().splitlines().index("  canary: {env: CANARY}") + 1
    assert f"fleet.yaml:{line}:" in planned.out and f"fleet.yaml:{line}:" in applied.err
    assert fleet.processes() == []
