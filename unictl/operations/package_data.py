"""Data files of the package, schemas and playbooks: from the checkout if there is one, else from the installed
package.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unictl.declaration.json_schema import SchemaNode

_PACKAGE = Path(__file__).resolve().parent.parent


def data_folder(name: str) -> Path:
    """``schemas`` or ``playbooks``: the checkout's own first, the installed copy else."""
    checkout_folder = _PACKAGE.parent / name
    return (
        checkout_folder
        if (_PACKAGE.parent / "pyproject.toml").is_file() and checkout_folder.is_dir()
        else _PACKAGE / name
    )


@cache
def load_schema(name: str) -> SchemaNode:
    """The JSON Schema of ``fleet`` files, ``plans`` files or ``status``; KeyError where there is none of that name."""
    if name not in SCHEMAS:
        raise KeyError(name)
    tree: SchemaNode = json.loads((data_folder("schemas") / f"{name}.schema.json").read_text())
    return tree


SCHEMAS = ("fleet", "plan", "status")


def load_fleet_schema() -> SchemaNode:
    """The JSON Schema of fleet files."""
    return load_schema("fleet")
