"""What all tests share: goldens that can be accepted, long runs only when asked for, no check left out quietly, and
which of them may run at one time.
"""

import os
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="rewrite golden files with what came out")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long runs (marker ``soak``) are left out unless ``-m`` speaks of them; CI asks for them once.

    What takes longest begins first.
    """
    items.sort(key=_turn)
    if "soak" in (config.option.markexpr or ""):
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if not item.get_closest_marker("soak")]


def _turn(item: pytest.Item) -> int:
    folders = ("lab", "operations", "onhost")
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return folders.index(folder) if folder in folders else len(folders)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several run at a time, those of a file stay together, and those of the lab, which share its hosts."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "tests/lab" if file.startswith("tests/lab/") else file

    return Together(config, log)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where CI is set nothing may be skipped: a check that does not run there runs nowhere."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and exitstatus == 0 and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
