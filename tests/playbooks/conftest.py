"""Fixtures of the guest tests: guests that are ended whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.playbooks.machine import Hello, Machine, qemu_present

HERE = Path(__file__).resolve().parent

M = TypeVar("M", bound=Machine)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        if item.get_closest_marker("real") and not qemu_present():
            item.add_marker(pytest.mark.skip(reason="qemu-system-x86_64 is not installed"))


@pytest.fixture
def started() -> Iterator[Callable[[M], M]]:
    """Takes a machine in charge: it does not outlive the test."""
    machines: list[Machine] = []

    def take(machine: M) -> M:
        machines.append(machine)
        return machine

    yield take
    for machine in machines:
        machine.kill()


@pytest.fixture
def hello(tmp_path: Path, started: Callable[[Hello], Hello]) -> Callable[..., Hello]:
    """Starts a hello guest and waits until it listens."""

    def start(*arguments: str, **options: object) -> Hello:
        return started(Hello(tmp_path, *arguments, **options)).ready()  # type: ignore[arg-type]

    return start
