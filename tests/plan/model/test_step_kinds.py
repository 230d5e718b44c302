"""What is known of a kind of step lies in its one record: no other module has a table of kinds."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import unictl
from unictl.plan.model import step
from unictl.plan.model.step import Step, StepKind
from unictl.plan.model.step_traits import Subject

PACKAGE = Path(unictl.__file__).parent


def _kinds(nodes: list[ast.expr]) -> int:
    return sum(ast.unparse(node).startswith("StepKind.") for node in nodes)


def _tables(path: Path) -> Iterator[str]:
    """Where a module lists kinds of steps: as keys of a table, or two and more in one collection."""
    for node in ast.walk(ast.parse(path.read_text())):
        in_keys = isinstance(node, ast.Dict) and _kinds([key for key in node.keys if key]) > 0
        in_collection = isinstance(node, ast.Tuple | ast.Set | ast.List) and _kinds(node.elts) > 1
        if in_keys or in_collection:
            yield f"{path.relative_to(PACKAGE)}:{node.lineno}"


def test_no_other_module_has_a_table_of_kinds() -> None:
    others = [path for path in PACKAGE.rglob("*.py") if path != Path(step.__file__)]
    assert len(others) > 300
    assert [table for path in others for table in _tables(path)] == []


@pytest.mark.parametrize("kind", StepKind, ids=lambda kind: kind.value)
def test_every_kind_says_what_is_done_was_done_and_failed(kind: StepKind) -> None:
    words = kind.traits.words
    assert words.doing and words.done and words.failed
    assert len({words.doing, words.done, words.failed}) == 3


@pytest.mark.parametrize("kind", StepKind, ids=lambda kind: kind.value)
def test_what_belongs_to_no_wave_has_a_node_in_the_folded_graph_or_only_records(kind: StepKind) -> None:
    traits = kind.traits
    records = not traits.acts or traits.subject is Subject.POLICY
    assert traits.is_part_of_wave or traits.group or records


def test_an_ingress_written_as_a_whole_has_words_of_its_own() -> None:
    whole = Step(id="join:hv1", kind=StepKind.JOIN, host="hv1", subject="ingress")
    assert whole.words.done == "written anew on"
    assert Step(id="join:hv1:api:1", kind=StepKind.JOIN, subject="api").words.done == "behind the ingress of"
