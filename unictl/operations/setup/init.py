"""Create a fleet from a playbook that ships with the package."""

import re
import secrets
import shutil
from pathlib import Path

from unictl.diagnostics.failure import UsageFailure
from unictl.instances.launch.preflight import check_features
from unictl.operations.package_data import data_folder
from unictl.operations.planning.fleet_files import read_files
from unictl.operations.request import FleetRequest

DEFAULT_PLAYBOOK = "hello"


def init_fleet(directory: Path, playbook: str) -> tuple[str, ...]:
    """Copies a playbook (empty name: hello) into ``directory`` with an id of its own; the files written.

    UsageFailure where there is no such playbook, or where a file of it would be overwritten.
    """
    source = data_folder("playbooks") / (playbook or DEFAULT_PLAYBOOK)
    playbook_names = sorted(
        candidate.name for candidate in data_folder("playbooks").iterdir() if (candidate / "fleet.yaml").is_file()
    )
    if source.name not in playbook_names:
        raise UsageFailure(f"there is no playbook {playbook!r}", hint="there are: " + ", ".join(playbook_names))
    files = sorted(path for path in source.rglob("*") if path.is_file() and _is_user_file(path.relative_to(source)))
    names = tuple(str(path.relative_to(source)) for path in files)
    existing_names = [name for name in names if (directory / name).exists()]
    if existing_names:
        raise UsageFailure(f"{directory} already has {', '.join(existing_names)}", hint="name an empty folder")
    for path, name in zip(files, names, strict=True):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, directory / name)
        if path.name == "fleet.yaml":
            _assign_new_id(directory / name)
    return names


def unsupported_features(directory: Path) -> tuple[str, ...]:
    """What the fleet in ``directory`` asks for and unictl cannot do yet, each once, in words."""
    declared_fleet = read_files(FleetRequest(path=directory)).loaded.fleet
    return (
        tuple(dict.fromkeys(finding.summary.partition(":")[0] for finding in check_features(declared_fleet)))
        if declared_fleet
        else ()
    )


def _is_user_file(path: Path) -> bool:
    """Whether a file of a playbook is for whoever begins with it: not what it was made of, nor what was pinned."""
    return path.parts[0] not in ("src", "try", "__pycache__") and path.name not in ("fleet.lock", "__init__.py")


def _assign_new_id(fleet: Path) -> None:
    """An id of its own, so that two fleets that began alike are two."""
    fleet.write_text(re.sub(r"\bid: [0-9a-f]+", f"id: f{secrets.token_hex(3)}", fleet.read_text(), count=1))
