"""The host side as a zip: what it holds, and what of it travels compiled."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import unictl.onhost
from unictl.hosts import archive

ONHOST = Path(unictl.onhost.__file__).parent
SURVEY = """
import sys
sys.path.insert(0, sys.argv[1])
from onhost import dispatcher
from onhost.protocol import request_context
from onhost.storage import layout
root = layout.StoreLayout(sys.argv[2])
root.prepare()
connection = dispatcher.Dispatcher(root, 0, 1)
request = {"message": "survey", "owner": "shop-5f0c2a", "full": {}}
outcome = connection._reply_body(request_context.RequestContext(connection, 1, request))
assert b'"ok"' in outcome, outcome
print("\\n".join(sorted(name.partition(".")[2] for name in sys.modules if name.startswith("onhost."))))
"""


def modules_of_a_survey(folder: Path) -> list[str]:
    """What a survey of a host that was surveyed before loads of the host side, below its package."""
    side = folder / "side.zip"
    side.write_bytes(archive.build_zip(ONHOST))
    command = [sys.executable, "-I", "-S", "-c", SURVEY, str(side), str(folder / "store")]
    for _ in range(2):  # the first survey finds out which accelerator works
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.real
def test_what_travels_compiled_is_what_a_survey_loads(tmp_path: Path) -> None:
    assert list(archive.SURVEY_MODULES) == modules_of_a_survey(tmp_path)


def test_every_module_of_the_host_side_is_in_the_zip_under_its_folder(tmp_path: Path) -> None:
    side = tmp_path / "side.zip"
    side.write_bytes(archive.build_zip(ONHOST))
    modules = {f"onhost/{path.relative_to(ONHOST).as_posix()}" for path in ONHOST.rglob("*.py")}
    assert len(modules) > 70
    with zipfile.ZipFile(side) as opened:
        assert {name for name in opened.namelist() if name.endswith(".py")} == modules
        assert "onhost/hypervisors/qemu/probe.elf" in opened.namelist()
