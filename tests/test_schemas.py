"""The schemas of what is printed are true: what comes out of a plan and of status holds to them, key by key."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from tests.plan import cases
from tests.views import samples
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.place import Place
from unictl.fleet.model import Port
from unictl.instances.desired.instance import DesiredInstance, PlacedInstance
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.file import planfile
from unictl.plan.model.change import Action, Change, Field
from unictl.plan.model.plan import Endpoint, Plan
from unictl.plan.model.revision import Revision
from unictl.plan.model.step import Step, StepKind
from unictl.views import documents

SCHEMAS = Path(__file__).parent.parent / "schemas"
PLAN = json.loads((SCHEMAS / "plan.schema.json").read_text())
STATUS = json.loads((SCHEMAS / "status.schema.json").read_text())
ROWS = {
    "change": Change,
    "field": Field,
    "live": LiveInstance,
    "located": PlacedInstance,
    "desired": DesiredInstance,
    "step": Step,
}
ROWS |= {"endpoint": Endpoint, "problem": Diagnostic, "place": Place, "port": Port}


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every key of a schema by its path."""
    if not isinstance(node, Mapping):
        return
    for key, below in node.get("properties", {}).items():
        yield f"{path}.{key}", below
        yield from nodes(below, f"{path}.{key}")
    for inner in (node.get("items"), node.get("additionalProperties"), *node.get("anyOf", ())):
        yield from nodes(inner, path)
    for name, below in node.get("$defs", {}).items():
        yield from nodes(below, name)


def plain(document: Mapping[str, Any]) -> Any:
    """As it is once it was written and read."""
    return json.loads(json.dumps(document))


@pytest.mark.parametrize("schema", [PLAN, STATUS], ids=["plan", "status"])
def test_a_schema_is_one_and_says_what_every_key_means(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    silent = [
        path
        for path, node in nodes(schema)
        if not (node.get("description") or schema["$defs"][node["$ref"].rpartition("/")[2]]["description"])
    ]
    assert not silent and all(node.get("description", ".").endswith(".") for _, node in nodes(schema))


@pytest.mark.parametrize("name", sorted(cases.CASES))
def test_every_golden_plan_holds_to_the_schema(name: str) -> None:
    made = cases.CASES[name]()
    check = Draft202012Validator(PLAN)
    check.validate(json.loads(planfile.dump(made)))
    check.validate(plain(documents.plan_document(made, {0})))


def test_a_plan_with_one_of_everything_holds_to_the_schema() -> None:
    Draft202012Validator(PLAN).validate(plain(documents.plan_document(samples.everything(), {0, 5})))


@pytest.mark.parametrize(
    "where", [(), ("changes", 0), ("steps", 0), ("revision",), ("endpoints", 0), ("preconditions", "hv1")]
)
def test_a_key_that_the_schema_does_not_know_is_caught(where: tuple[Any, ...]) -> None:
    document: Any = json.loads(planfile.dump(cases.hello_again()))
    inner = document
    for step in where:
        inner = inner[step]
    inner["moods"] = "blue"
    with pytest.raises(ValidationError, match="moods"):
        Draft202012Validator(PLAN).validate(document)


@pytest.mark.parametrize("row", ROWS)
def test_every_field_of_a_plans_values_is_in_the_schema(row: str) -> None:
    told = PLAN["$defs"][row]["properties"]
    assert {each.name for each in fields(ROWS[row])} <= set(told), f"describe it in schemas/plan.schema.json: {row}"


def test_every_field_of_a_plan_is_in_the_schema() -> None:
    assert {each.name for each in fields(Plan)} <= set(PLAN["properties"]), "describe it in schemas/plan.schema.json"
    assert {each.name for each in fields(Revision)} == set(PLAN["properties"]["revision"]["properties"])


def test_the_schema_names_all_actions_and_step_kinds() -> None:
    defined = PLAN["$defs"]
    assert defined["change"]["properties"]["action"]["enum"] == [each.value for each in Action]
    assert defined["step"]["properties"]["kind"]["enum"] == [each.value for each in StepKind]


def test_a_status_holds_to_the_schema() -> None:
    check = Draft202012Validator(STATUS)
    check.validate(samples.STATUS)
    with pytest.raises(ValidationError, match="moods"):
        check.validate({**samples.STATUS, "moods": "blue"})
