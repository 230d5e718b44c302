"""Create a fleet from a playbook that ships with the package."""

import re
import secrets
import shutil
from pathlib import Path

from unictl.diagnostics.failure import UsageFailure
from unictl.fleet.unsupported import unsupported
from unictl.operations.package_data import folder
from unictl.operations.planning.prepare import read
from unictl.operations.request import FleetRequest

DEFAULT = "hello"


def init(directory: Path, playbook: str) -> tuple[str, ...]:
    """Copies a playbook (empty name: hello) into ``directory`` with an id of its own; the files written.

    UsageFailure where there is no such playbook, or where a file of it would be overwritten.
    """
    source = folder("playbooks") / (playbook or DEFAULT)
    known = sorted(each.name for each in folder("playbooks").iterdir() if (each / "fleet.yaml").is_file())
    if source.name not in known:
        raise UsageFailure(f"there is no playbook {playbook!r}", hint="there are: " + ", ".join(known))
    files = sorted(path for path in source.rglob("*") if path.is_file() and _ours(path.relative_to(source)))
    names = tuple(str(path.relative_to(source)) for path in files)
    taken = [name for name in names if (directory / name).exists()]
    if taken:
        raise UsageFailure(f"{directory} already has {', '.join(taken)}", hint="name an empty folder")
    for path, name in zip(files, names, strict=True):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, directory / name)
        if path.name == "fleet.yaml":
            _identify(directory / name)
    return names


def lacking(directory: Path) -> tuple[str, ...]:
    """What the fleet in ``directory`` asks for and unictl cannot do yet, each once, in words."""
    found = read(FleetRequest(path=directory)).loaded.fleet
    return tuple(dict.fromkeys(each.text.partition(":")[0] for each in unsupported(found))) if found else ()


def _ours(path: Path) -> bool:
    """Whether a file of a playbook is for whoever begins with it: not what it was made of, nor what was pinned."""
    return path.parts[0] not in ("src", "try", "__pycache__") and path.name not in ("fleet.lock", "__init__.py")


def _identify(fleet: Path) -> None:
    """An id of its own, so that two fleets that began alike are two."""
    fleet.write_text(re.sub(r"\bid: [0-9a-f]+", f"id: f{secrets.token_hex(3)}", fleet.read_text(), count=1))
