"""``main`` called with streams, and use cases that are told what to answer."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.views import samples
from unictl.cli.main import main
from unictl.journal.event import Began, Ended, Finished, Started
from unictl.journal.report import Report
from unictl.plan.model.plan import Plan


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Ran:
    """What one call of ``main`` came to."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of the output."""
        return self.out.splitlines()[-1] if self.out else ""


@dataclass
class World:
    """What the use cases answer, and what they were asked."""

    plan: Plan = field(default_factory=lambda: samples.plan(samples.bump(2)))
    report: Report = field(default_factory=lambda: Report(done=(samples.STEP,)))
    raises: BaseException | None = None
    planfiles: set[str] = field(default_factory=set)
    validated: Any = None
    document: dict[str, Any] = field(default_factory=lambda: dict(samples.STATUS))
    lines: tuple[str, ...] = ("hello", "world")
    asked: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *argv: str, typed: str | None = None) -> Ran:
        """``unictl ARGV``; ``typed`` is what somebody at a terminal writes, None: there is nobody."""
        stdin = io.StringIO() if typed is None else Terminal(typed)
        out, err = io.StringIO(), io.StringIO()
        code = main(list(argv), self.environment, stdin, out, err)
        return Ran(code, out.getvalue(), err.getvalue())

    def answer(self, name: str, value: Any, *asked: Any, **more: Any) -> Any:
        """Notes what was asked, then answers or fails."""
        self.asked[name] = (*asked, *more.values())
        if self.raises:
            raise self.raises
        return value


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Every use case replaced by one that answers what the test says."""
    world = World()
    for name, functions in _cases(world).items():
        package, _, stem = f"unictl.operations.{name}".rpartition(".")
        module = ModuleType(f"{package}.{stem}")
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(import_module(package), stem, module, raising=False)
    return world


def _cases(world: World) -> dict[str, dict[str, Callable[..., Any]]]:
    def apply(plan: Plan, options: Any, on_event: Callable[..., None], interrupts: Any) -> Report:
        step = samples.STEP
        for event in (Began(at=0, steps=1), Started(at=0, step=step), Finished(at=1, step=step), Ended(at=1)):
            on_event(event)
        return world.answer("apply", world.report, plan, options, interrupts)

    lock = SimpleNamespace(changed=("api",), path=Path("fleet.lock"))
    return {
        "planning.plans": {
            "make_plan": lambda request, options: world.answer("plan", world.plan, request, options),
            "open_plan": lambda path: world.answer("open_plan", world.plan, path),
            "save": lambda plan, path: world.answer("save", None, plan, path),
            "write_private": lambda path, text: world.answer("write", None, path, text),
            "is_planfile": lambda path: str(path) in world.planfiles,
        },
        "planning.apply": {"apply_plan": apply},
        "inspecting.inspect": {
            "validate_fleet": lambda request: world.answer("validate", world.validated, request),
            "describe_fleet": lambda request: world.answer("show", {"fleet": {"name": "shop"}}, request),
            "find_schema": lambda name: {"$schema": name},
            "query_status": lambda request: world.answer("status", world.document, request),
            "read_logs": lambda request, selector, **more: world.answer(
                "logs", iter(world.lines), request, selector, **more
            ),
            "query_locks": lambda request: world.answer("locks", world.document, request),
        },
        "setup.lock": {"pin_fleet": lambda request: world.answer("lock", lock, request)},
        "setup.init": {
            "init_fleet": lambda directory, playbook: world.answer("init", ("fleet.yaml",), directory, playbook),
            "unsupported_features": lambda directory: (),
        },
    }
