"""The codes that the product uses, as its source shows them; a part that is filled in is a ``*``."""

import ast
from collections.abc import Iterator
from pathlib import Path

from unictl.execution import surveys
from unictl.journal.report import GATE_FAILED
from unictl.plan.model.reason import Reason

PACKAGE = Path(surveys.__file__).parents[1]
_VALUES = {"Finding", "Diagnostic", "SchemaIssue", "build_shortfall"}
_REPORTERS = {"report", "_report", "make_problem", "_issue_at"}
_REASON_FACTORIES = PACKAGE / "plan" / "model" / "reason.py"


def used_codes() -> set[str]:
    """Every code of a problem and every reason of a change."""
    codes = {GATE_FAILED, *surveys._BLOCKING_KINDS, *map(str, Reason)}
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        codes.update(_codes_of_calls(tree))
        codes.update(_codes_of_rows(tree))
    for node in ast.walk(ast.parse(_REASON_FACTORIES.read_text())):
        if isinstance(node, ast.Return):
            codes.update(_texts(node.value))
    return codes


def _codes_of_calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _VALUES:
                for keyword in node.keywords:
                    if keyword.arg == "code":
                        yield from _texts(keyword.value)
            if name in _REPORTERS and node.args:
                for argument in node.args[:2]:
                    yield from (text for text in _texts(argument) if text.replace("-", "").isalpha() and text.islower())


def _codes_of_rows(tree: ast.AST) -> Iterator[str]:
    """``{"code": "no-kvm", ...}`` of what a host lacks, and ``code = "same-host"``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code":
                    yield from _texts(value)
        if isinstance(node, ast.Assign):
            yield from _codes_of_assignment(node.targets[0], node.value)


def _codes_of_assignment(target: ast.expr, value: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for name, item in zip(target.elts, value.elts, strict=False):
            if isinstance(name, ast.Name) and name.id == "code":
                yield from _texts(item)


def _texts(node: ast.AST | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
