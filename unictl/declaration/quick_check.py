"""A quick check whether a value is certainly valid by a schema, as nearly every value is. Pure.

It says yes only where JSON Schema would find nothing. A keyword that it does not implement is a no: then ``schema``
checks with jsonschema and words the problem. A run over a valid fleet never loads jsonschema.
"""

from collections.abc import Callable, Mapping
from typing import TypeGuard

from unictl.declaration import formats
from unictl.declaration.json_schema import Schema, SchemaNode

_IGNORED_KEYWORDS = frozenset(("x-hint", "x-entries"))


def is_certainly_valid(node: Schema, value: object) -> bool:
    """Whether ``value`` is right by ``node``, a schema without references; False also where that is not sure."""
    if isinstance(node, bool):
        return node
    return all(
        schema_keyword in _IGNORED_KEYWORDS
        or (schema_keyword in _KEYWORD_CHECKS and _KEYWORD_CHECKS[schema_keyword](node, value))
        for schema_keyword in node
    )


def _matches_type(node: SchemaNode, value: object) -> bool:
    type_names = node["type"]
    return any(
        _TYPE_TESTS[type_name](value) for type_name in ([type_names] if isinstance(type_names, str) else type_names)
    )


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPE_TESTS: Mapping[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    # 1.0 may pass for a whole number; whether it does is not decided here.
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _check_properties(node: SchemaNode, value: object) -> bool:
    """Each key by its own node, the others by ``additionalProperties``."""
    if not isinstance(value, dict):
        return True
    property_nodes, default_node = node.get("properties", {}), node.get("additionalProperties", True)
    return all(is_certainly_valid(property_nodes.get(key, default_node), member) for key, member in value.items())


def _check_property_names(node: SchemaNode, value: object) -> bool:
    return not isinstance(value, dict) or all(is_certainly_valid(node["propertyNames"], key) for key in value)


def _check_items(node: SchemaNode, value: object) -> bool:
    return not isinstance(value, list) or all(is_certainly_valid(node["items"], item) for item in value)


def _check_unique(node: SchemaNode, value: object) -> bool:
    """Only among texts is it plain what is the same."""
    if not node["uniqueItems"] or not isinstance(value, list):
        return True
    return all(isinstance(item, str) for item in value) and len(set(value)) == len(value)


_KEYWORD_CHECKS: Mapping[str, Callable[[SchemaNode, object], bool]] = {
    "type": _matches_type,
    "properties": _check_properties,
    "additionalProperties": lambda node, value: "properties" in node or _check_properties(node, value),
    "propertyNames": _check_property_names,
    "items": _check_items,
    "uniqueItems": _check_unique,
    "required": lambda node, value: not isinstance(value, dict) or all(key in value for key in node["required"]),
    "enum": lambda node, value: any(type(each) is type(value) and each == value for each in node["enum"]),
    "minimum": lambda node, value: not _is_number(value) or value >= node["minimum"],
    "maximum": lambda node, value: not _is_number(value) or value <= node["maximum"],
    "minItems": lambda node, value: not isinstance(value, list) or len(value) >= node["minItems"],
    "x-kind": lambda node, value: not isinstance(value, str) or not formats.invalid_reason(node["x-kind"], value),
}
