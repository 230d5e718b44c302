"""``python -m tests.lab``: a lab by hand. See ``python -m tests.lab help``."""

import os
import shutil
import sys

from tests import lab as about
from tests.lab import lab as labs
from tests.lab import recipe


def main(words: list[str]) -> int:
    """One command; its exit code."""
    name = os.environ.get("UNICTL_LAB", "hand")
    match words:
        case ["up", *rest]:
            made = labs.Lab.up(_count(rest), name=name, suites=_suites(rest), lifeline=False)
            return _list(made)
        case ["list"]:
            return _list(labs.Lab.find(name))
        case ["run", host, *command] if command:
            return _become(labs.Lab.find(name), "ssh", f"root@{host}", " ".join(command))
        case ["ssh", host]:
            return _become(labs.Lab.find(name), "ssh", "-t", f"root@{host}")
        case ["in", *command] if command:
            lab = labs.Lab.find(name)
            return _become(lab, *lab.inside, *command)
        case ["env"]:
            print(f"export PATH={labs.Lab.find(name).folder}/bin:$PATH")  # noqa: T201
        case ["down"]:
            labs.sweep()
            if (recipe.cache() / "labs" / name).exists():
                labs.Lab.find(name).down()
        case _:
            print(about.__doc__)  # noqa: T201
            return 0 if words == ["help"] else 1
    return 0


def _count(rest: list[str]) -> int:
    return next((int(word) for word in rest if word.isdigit()), 3)


def _suites(rest: list[str]) -> tuple[str, ...]:
    asked = tuple(rest[at + 1] for at, word in enumerate(rest[:-1]) if word == "--suite")
    return asked or labs.SUITES


def _list(lab: labs.Lab) -> int:
    for host in lab:
        state = "up" if host.up else "down"
        print(f"{host.name}  {host.address}  {host.suite}  {state}  ssh://root@{host.name} (ops, plain, careful)")  # noqa: T201
    return 0


def _become(lab: labs.Lab, program: str, *words: str) -> int:
    os.execvpe(shutil.which(program, path=lab.env["PATH"]) or program, [program, *words], lab.env)


try:
    sys.exit(main(sys.argv[1:]))
except RuntimeError as error:
    sys.exit(f"lab: {error}")
