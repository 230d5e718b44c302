"""What is installed holds what runs: rooms, schemas and playbooks are in the wheel."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_room_and_playbook_is_in_the_list_of_packages() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    rooms = {f"unictl.{path.parent.name}" for path in (ROOT / "unictl").glob("*/__init__.py")}
    playbooks = {f"unictl.playbooks.{path.parent.name}" for path in (ROOT / "playbooks").glob("*/fleet.yaml")}
    assert listed == {"unictl", "unictl.schemas", "unictl.playbooks"} | rooms | playbooks


def test_a_wheel_holds_schemas_playbooks_and_the_probe_and_works_outside_of_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    runs = "import sys; sys.path.insert(0, sys.argv[1]); from unictl.operations import scaffold, shipped; "
    runs += "from pathlib import Path; print(shipped.__file__, "
    runs += "all(len(shipped.schema(name)) > 3 for name in shipped.SCHEMAS), scaffold.init(Path(sys.argv[2]), ''))"
    words = [sys.executable, "-c", runs, str(tmp_path / "installed"), str(tmp_path / "new")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60)
    assert str(tmp_path / "installed") in done.stdout
    assert "True" in done.stdout
    assert {p.name for p in (tmp_path / "new").iterdir()} >= {"fleet.yaml", "hello.elf"}
    assert (tmp_path / "installed" / "unictl" / "onhost" / "probe.elf").stat().st_size > 1000
