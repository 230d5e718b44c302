"""The types of JSON whose keys are not known here. A document with known keys has a type of its own."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
"""Any value that JSON can write."""

JsonObject: TypeAlias = Mapping[str, Json]
"""A JSON object: what most documents are at the top."""
