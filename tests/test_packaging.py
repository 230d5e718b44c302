"""What is installed holds what runs: rooms, schemas and playbooks are in the wheel."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the checkout, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    # Of a copy: a checkout may hold a build folder with modules that have moved since.
    copy = shutil.copytree(
        ROOT, folder / "copy", symlinks=True, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info")
    )
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(copy)]
    subprocess.run(build, check=True, timeout=300)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_a_wheel_holds_every_module_of_the_checkout(wheel: Path) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "unictl").rglob("*.py")}
    assert len(modules) > 250
    assert {path.relative_to(wheel).as_posix() for path in (wheel / "unictl").rglob("*.py")} == modules


def test_a_wheel_holds_every_playbook(wheel: Path) -> None:
    playbooks = {path.parent.name for path in (ROOT / "playbooks").glob("*/fleet.yaml")}
    assert {path.parent.name for path in (wheel / "unictl/playbooks").glob("*/fleet.yaml")} == playbooks


def test_a_wheel_holds_schemas_playbooks_and_the_probe_and_works_outside_of_the_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    runs = "import sys; sys.path.insert(0, sys.argv[1]); from unictl.operations import package_data; "
    runs += "from unictl.operations.setup import init; "
    runs += "from pathlib import Path; print(package_data.__file__, "
    runs += "all(len(package_data.load_schema(name)) > 3 for name in package_data.SCHEMAS), "
    runs += "init.init_fleet(Path(sys.argv[2]), ''))"
    words = [sys.executable, "-c", runs, str(wheel), str(tmp_path / "new")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60)
    assert str(wheel) in done.stdout
    assert "True" in done.stdout
    assert {p.name for p in (tmp_path / "new").iterdir()} >= {"fleet.yaml", "hello.elf"}
    assert (wheel / "unictl/onhost/hypervisors/qemu/probe.elf").stat().st_size > 1000
