"""A hypervisor on the host side is a driver and a row of the table: shown with a made-up one."""

import os
import shutil
import sys
from pathlib import Path

import pytest

import unictl.onhost
from tests.onhost.hypervisors import made_up
from tests.onhost.world import OWNER, World, document
from unictl.onhost.hypervisors import drivers
from unictl.onhost.platform import own_code

KEY = "web-0.0123abcd"


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The made-up driver and its row, here and in the code that the supervisor is started from."""
    monkeypatch.setitem(drivers.MODULES, "sleeper", "made_up")
    monkeypatch.setitem(sys.modules, f"{own_code.PACKAGE}.hypervisors.made_up", made_up)
    source = Path(next(iter(unictl.onhost.__path__)))
    copy = tmp_path / "unictl" / "onhost"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(source.parent / "__init__.py", copy.parent)
    shutil.copy(made_up.__file__, copy / "hypervisors")
    table = copy / "hypervisors" / "drivers.py"
    text = table.read_text()
    assert text.count('MODULES = {"qemu"') == 1
    table.write_text(text.replace("MODULES = {", 'MODULES = {"sleeper": "made_up", '))
    monkeypatch.setattr(
        own_code, "open_for_child", lambda: (os.open(tmp_path, os.O_RDONLY | os.O_CLOEXEC), str(tmp_path))
    )


@pytest.mark.usefixtures("sleeper")
def test_a_survey_names_its_program_and_version(held: World) -> None:
    assert held.survey()["host"]["hypervisors"]["sleeper"] == {"path": "/bin/sleep", "version": "1.0 of /bin/sleep"}


@pytest.mark.usefixtures("sleeper")
def test_a_launch_is_started_with_its_tokens_replaced(held: World) -> None:
    outcome = held.launch(document(argv=("{sleeper}", "{seconds}"), hypervisor="sleeper"))[0]
    assert outcome == {"key": KEY, "ok": True, "adopted": False}
    assert held.states() == {KEY: "running"}
    assert Path(f"/proc/{held.pid(KEY)}/cmdline").read_bytes() == b"/bin/sleep\x001000\x00"


@pytest.mark.usefixtures("sleeper")
def test_a_host_without_it_says_so(held: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_up, "find_program", lambda: "")
    host = held.survey()["host"]
    assert "sleeper" not in host["hypervisors"]
    assert "no-sleeper" in {row["code"] for row in host["lacks"]}


def test_a_launch_under_a_hypervisor_without_a_driver_leaves_no_record(held: World) -> None:
    outcome = held.launch(document(hypervisor="sleeper"))[0]
    assert not outcome["ok"] and outcome["problem"]["kind"] == "unsupported"
    assert "'sleeper'" in outcome["problem"]["text"]
    assert list(held.root.keys(OWNER)) == []
