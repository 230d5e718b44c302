"""A quick check whether a value is certainly valid by a schema, as nearly every value is. Pure.

It says yes only where JSON Schema would find nothing. A keyword that it does not implement is a no: then
``schema`` checks with jsonschema and words the problem. A run over a valid fleet never loads jsonschema.
"""

from collections.abc import Callable, Mapping
from typing import Any

from unictl.declaration import formats

_SAYS_NOTHING = frozenset(("x-hint", "x-entries"))


def sound(node: Any, value: Any) -> bool:
    """Whether ``value`` is right by ``node``, a schema without references; False also where that is not sure."""
    if isinstance(node, bool):
        return node
    return all(word in _SAYS_NOTHING or (word in _CHECKS and _CHECKS[word](node, value)) for word in node)


def _type(node: Mapping[str, Any], value: Any) -> bool:
    wanted = node["type"]
    return any(_TYPES[each](value) for each in ([wanted] if isinstance(wanted, str) else wanted))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    # 1.0 may pass for a whole number; whether it does is not decided here.
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _number,
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _properties(node: Mapping[str, Any], value: Any) -> bool:
    """Each key by its own node, the others by ``additionalProperties``."""
    if not isinstance(value, dict):
        return True
    known, other = node.get("properties", {}), node.get("additionalProperties", True)
    return all(sound(known.get(key, other), below) for key, below in value.items())


def _names(node: Mapping[str, Any], value: Any) -> bool:
    return not isinstance(value, dict) or all(sound(node["propertyNames"], key) for key in value)


def _items(node: Mapping[str, Any], value: Any) -> bool:
    return not isinstance(value, list) or all(sound(node["items"], each) for each in value)


def _unique(node: Mapping[str, Any], value: Any) -> bool:
    """Only among texts is it plain what is the same."""
    if not node["uniqueItems"] or not isinstance(value, list):
        return True
    return all(isinstance(each, str) for each in value) and len(set(value)) == len(value)


_CHECKS: Mapping[str, Callable[[Mapping[str, Any], Any], bool]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": lambda node, value: "properties" in node or _properties(node, value),
    "propertyNames": _names,
    "items": _items,
    "uniqueItems": _unique,
    "required": lambda node, value: not isinstance(value, dict) or all(key in value for key in node["required"]),
    "enum": lambda node, value: any(type(each) is type(value) and each == value for each in node["enum"]),
    "minimum": lambda node, value: not _number(value) or value >= node["minimum"],
    "maximum": lambda node, value: not _number(value) or value <= node["maximum"],
    "minItems": lambda node, value: not isinstance(value, list) or len(value) >= node["minItems"],
    "x-kind": lambda node, value: not isinstance(value, str) or not formats.why(node["x-kind"], value),
}
