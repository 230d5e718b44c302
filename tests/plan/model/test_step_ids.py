"""Step ids are made by functions of one module, and nobody else writes or reads their text."""

import ast
from collections.abc import Iterator
from pathlib import Path

import unictl
from unictl.plan.model import step_ids
from unictl.plan.model.step import StepKind

PACKAGE = Path(unictl.__file__).parent
MODULE = Path(step_ids.__file__)
TEXT_METHODS = {"startswith", "endswith", "partition", "rpartition", "split", "rsplit", "removeprefix", "removesuffix"}


def _other_modules() -> list[Path]:
    paths = [path for path in PACKAGE.rglob("*.py") if path != MODULE and "onhost" not in path.parts]
    assert len(paths) > 200
    return paths


def _shape(node: ast.AST) -> str:
    """The text of a string with ``{}`` for what is put into it; empty of what is no string."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def _makes_id(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "StepId"


def _barrier_shapes() -> set[str]:
    """The texts of barriers: ``healthy:{}``, ``wave:{}:{}``, ``healthy:*``."""
    shapes = {_shape(call.args[0]) for call in _calls(MODULE) if _makes_id(call)}
    return {shape for shape in shapes if shape.partition(":")[0].isalpha()}


def _is_id(node: ast.AST) -> bool:
    """Whether a text is a barrier's, or begins with a kind of step and a colon."""
    shape = _shape(node)
    # The subject of a volume, and a placeholder of a launch document, begin with the same word.
    if shape.startswith("volume:") and shape.count(":") < 2:
        return False
    begins_with_kind = any(shape.startswith(f"{kind.value}:") for kind in StepKind)
    return begins_with_kind or shape in _BARRIER_SHAPES or _begins_with_kind_of(node)


def _begins_with_kind_of(node: ast.AST) -> bool:
    """Whether a text is put together of the kind of a step and a colon."""
    if not isinstance(node, ast.JoinedStr) or not _shape(node).startswith("{}:"):
        return False
    first = node.values[0]
    return isinstance(first, ast.FormattedValue) and ast.unparse(first.value).endswith("kind.value")


_BARRIER_SHAPES = _barrier_shapes()


def test_ids_are_made_in_one_module() -> None:
    assert len(_BARRIER_SHAPES) > 10
    assert [path for path in _other_modules() if any(map(_makes_id, _calls(path)))] == []


def test_no_other_module_writes_the_text_of_an_id() -> None:
    written = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {_shape(node)}"
        for path in _other_modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr | ast.Constant) and _is_id(node)
    ]
    assert written == []


def test_nobody_takes_an_id_apart() -> None:
    taken = [
        f"{path.relative_to(PACKAGE)}:{call.lineno}"
        for path in _other_modules()
        for call in _calls(path)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in TEXT_METHODS
        and ast.unparse(call.func.value) in ("step.id", "step_id", "need")
    ]
    assert taken == []


def test_an_id_names_the_kind_of_its_step_and_what_it_is_about() -> None:
    assert step_ids.step_id(StepKind.DELETE, "hv1", "data-0") == "delete:hv1:data-0"
    assert step_ids.ingress_id(StepKind.LEAVE, "hv1", "api", 2) == "leave:hv1:api:2"


def test_a_step_of_a_rollback_has_another_id_than_the_same_step_of_a_rollout() -> None:
    launch = step_ids.launch_id("api-0.7f3c9a1b")
    assert step_ids.rollback_id(launch) == "back:launch:api-0.7f3c9a1b" != launch
