"""Begin a fleet from a playbook that ships with the tool."""

import re
import secrets
import shutil
from pathlib import Path

from unictl.diagnostics.failure import UsageFailure
from unictl.operations.shipped import folder

DEFAULT = "hello"


def init(directory: Path, playbook: str) -> tuple[str, ...]:
    """Copies a playbook (empty name: hello) into ``directory`` with an id of its own; the files written.

    UsageFailure where there is no such playbook, or where a file of it would be overwritten.
    """
    source = folder("playbooks") / (playbook or DEFAULT)
    known = sorted(each.name for each in folder("playbooks").iterdir() if (each / "fleet.yaml").is_file())
    if source.name not in known:
        raise UsageFailure(f"there is no playbook {playbook!r}", hint="there are: " + ", ".join(known))
    files = [each for each in sorted(source.iterdir()) if each.is_file() and each.name not in ("fleet.lock", "try")]
    taken = [each.name for each in files if (directory / each.name).exists()]
    if taken:
        raise UsageFailure(f"{directory} already has {', '.join(taken)}", hint="name an empty folder")
    directory.mkdir(parents=True, exist_ok=True)
    for each in files:
        shutil.copyfile(each, directory / each.name)
    fleet = directory / "fleet.yaml"
    fleet.write_text(re.sub(r"\bid: [0-9a-f]+", f"id: f{secrets.token_hex(3)}", fleet.read_text(), count=1))
    return tuple(each.name for each in files)
