"""The type of a JSON Schema as the schemas of fleet files use it. Types only."""

from collections.abc import Mapping
from typing import TypeAlias, TypedDict

from unictl.declaration.scalars import Scalar

# Some keywords are no Python names, so this is written as a call.
SchemaNode = TypedDict(
    "SchemaNode",
    {
        "$defs": Mapping[str, "SchemaNode"],
        "$ref": str,
        "type": str | list[str],
        "properties": Mapping[str, "Schema"],
        "additionalProperties": "Schema",
        "propertyNames": "SchemaNode",
        "required": list[str],
        "items": "Schema",
        "uniqueItems": bool,
        "minItems": int,
        "minimum": int,
        "maximum": int,
        "enum": list[Scalar],
        # Checked by ``formats``: memory, duration, port ...
        "x-kind": str,
        # How the value is written, for hints.
        "x-hint": str,
        # What an entry of this section is called: host, service ...
        "x-entries": str,
    },
    total=False,
)
"""One node of a schema with the keywords that are read here."""

Schema: TypeAlias = SchemaNode | bool
"""A schema: a node, or True for everything and False for nothing."""
