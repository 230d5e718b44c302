"""The data of a step has a form with named fields for each kind, and its JSON is written and read at the edge only."""

from dataclasses import MISSING, fields
from typing import Any

import pytest

from unictl.plan.model import payloads
from unictl.plan.model.ingress import Listener, Server
from unictl.plan.model.payloads import (
    DeleteData,
    FileData,
    GateData,
    IngressData,
    LaunchData,
    MarksData,
    RememberData,
    RetireData,
    StageData,
    VolumeData,
)
from unictl.plan.model.step import Step, StepKind

LISTENER = Listener(
    name="api.http", bind="*", port=80, servers=(Server(name="api-0.aa", address="127.0.0.1", port=8080),)
)
PROBE = {"kind": "http", "path": "/", "send": "", "expect": "", "pattern": "", "interval": 500, "timeout": 2000}
EXAMPLES: tuple[tuple[FileData, dict[str, Any]], ...] = (
    (StageData(digest="ab", size=7), {"digest": "ab", "size": 7}),
    (StageData(digest="ab", size=0, similar_digests=("cd",)), {"digest": "ab", "size": 0, "like": ["cd"]}),
    (VolumeData(volume="orders", size=0), {"volume": "orders", "size": 0}),
    (DeleteData(volume="orders"), {"volume": "orders"}),
    (
        LaunchData(document={"name": "api-0", "generation": "aa"}, secrets=("token",)),
        {"document": {"name": "api-0", "generation": "aa"}, "secrets": ["token"]},
    ),
    (
        GateData(key="api-0.aa", probes=(PROBE,), min_healthy_time=0, healthy_deadline=9),
        {"key": "api-0.aa", "probes": [PROBE], "min_healthy_time": 0, "healthy_deadline": 9},
    ),
    (
        GateData(key="api-0.aa", probes=(), min_healthy_time=0, healthy_deadline=9, job=True),
        {"key": "api-0.aa", "probes": [], "min_healthy_time": 0, "healthy_deadline": 9, "job": True},
    ),
    (IngressData(services={}), {"services": {}}),
    (IngressData(services={"api": (LISTENER,)}, drain=0), {"services": {"api": (LISTENER,)}, "drain": 0}),
    (RetireData(key="api-0.aa", grace=0, keep=5), {"key": "api-0.aa", "grace": 0, "keep": 5}),
    (MarksData(key="api-0.aa", protect=False, commit=""), {"key": "api-0.aa", "protect": False, "commit": ""}),
    (
        MarksData(key="api-0.aa", protect=True, commit="c0", checks=()),
        {"key": "api-0.aa", "protect": True, "commit": "c0", "checks": []},
    ),
    (RememberData(policy={"max_destroy": "1"}, hosts=()), {"policy": {"max_destroy": "1"}, "hosts": []}),
    (
        RememberData(policy={}, hosts=("hv1 id",), fleet={"mark": "shop", "id": "5f"}),
        {"policy": {}, "hosts": ["hv1 id"], "fleet": {"mark": "shop", "id": "5f"}},
    ),
)
"""Data, and what a plan file says for it."""


def _name(value: object) -> str:
    return type(value).__name__ if isinstance(value, FileData) else ""


@pytest.mark.parametrize(("data", "plain"), EXAMPLES, ids=_name)
def test_required_fields_are_always_written_and_defaults_left_out(data: FileData, plain: dict[str, Any]) -> None:
    assert data.to_json() == plain


@pytest.mark.parametrize(("data", "plain"), EXAMPLES, ids=_name)
def test_what_was_written_is_read_again(data: FileData, plain: dict[str, Any]) -> None:
    assert type(data).from_json(plain) == data


@pytest.mark.parametrize("data", [data for data, _ in EXAMPLES], ids=_name)
def test_data_without_a_required_field_is_not_read(data: FileData) -> None:
    required = [field.name for field in fields(data) if field.default is MISSING]
    assert required
    for name in required:
        with pytest.raises(TypeError):
            type(data).from_json({key: value for key, value in data.to_json().items() if key != name})


def test_a_key_of_a_newer_format_is_left_out() -> None:
    assert DeleteData.from_json({"volume": "orders", "newer": 1}) == DeleteData(volume="orders")


def test_every_form_has_an_example_and_belongs_to_a_kind() -> None:
    forms = {value for value in vars(payloads).values() if isinstance(value, type) and issubclass(value, FileData)}
    forms -= {FileData}
    assert {type(data) for data, _ in EXAMPLES} == forms
    assert {kind.traits.data_type for kind in StepKind} - {None} == forms


def test_a_host_is_told_no_key_among_the_marks() -> None:
    assert MarksData(key="api-0.aa", protect=True, checks=("http",)).marks() == {"protect": True, "checks": ["http"]}


def test_data_of_another_form_is_refused() -> None:
    step = Step(id="delete:hv1:orders", kind=StepKind.DELETE, host="hv1", data=DeleteData(volume="orders"))
    assert step.data_as(DeleteData).volume == "orders"
    with pytest.raises(TypeError, match="has no RetireData"):
        step.data_as(RetireData)
