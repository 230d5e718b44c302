"""The values of a plan have types that say what they hold."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from unictl.plan import model
from unictl.plan.model.step import Step

MODELS = tuple(
    value
    for module in pkgutil.iter_modules(model.__path__, f"{model.__name__}.")
    for value in vars(importlib.import_module(module.name)).values()
    if dataclasses.is_dataclass(value) and isinstance(value, type) and value.__module__ == module.name
)


def _parts(annotation: object) -> Iterator[object]:
    yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)


def test_all_values_of_a_plan_are_looked_at() -> None:
    assert len(MODELS) > 25 and Step in MODELS


@pytest.mark.parametrize("value", MODELS, ids=lambda value: value.__name__)
def test_no_field_of_a_plan_holds_just_anything(value: type) -> None:
    hints = get_type_hints(value)
    assert [field.name for field in dataclasses.fields(value) if Any in _parts(hints[field.name])] == []
