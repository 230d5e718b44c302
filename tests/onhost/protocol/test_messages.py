"""The message table: every row has a handler, a caller and the traits that its handler shows."""

import ast
import inspect
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import unictl.onhost
from tests.onhost.world import OWNER, World
from unictl.hosts import connection
from unictl.onhost import dispatcher, errors
from unictl.onhost.protocol.messages import MESSAGES
from unictl.onhost.storage import layout

ONHOST = Path(unictl.onhost.__file__).parent
UNDER_LEASE = [name for name, message in MESSAGES.items() if message.needs_lease]


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_has_a_handler(name: str) -> None:
    parameters = inspect.signature(dispatcher.load_handler(*MESSAGES[name].handler)).parameters
    assert list(parameters) == ["root", "request", "context"]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_handler_that_may_write_belongs_to_a_message_that_needs_a_lease(name: str) -> None:
    handler = dispatcher.load_handler(*MESSAGES[name].handler)
    expected = "FencedStore" if MESSAGES[name].needs_lease else "layout.StoreLayout"
    assert inspect.signature(handler).parameters["root"].annotation == expected


def _sent_names() -> set[str]:
    """The names that the control side sends: of ``_request`` the first argument, of a whole request its message."""
    names = set()
    for node in ast.walk(ast.parse(Path(connection.__file__).read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self._request":
            names.add(node.args[0])
        elif isinstance(node, ast.Dict):
            names |= {value for key, value in zip(node.keys, node.values, strict=True) if _is_message_key(key)}
    return {str(name.value) for name in names if isinstance(name, ast.Constant)}


def _is_message_key(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and key.value == "message"


def test_every_message_is_sent_by_the_control_side_and_no_others() -> None:
    assert _sent_names() == set(MESSAGES)


@pytest.mark.parametrize("name", UNDER_LEASE)
def test_without_the_lease_no_handler_that_needs_it_is_called(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(dispatcher, "load_handler", lambda *_: lambda *_: calls.append(name))
    with pytest.raises(errors.HostError) as problem:
        world.do(name)
    assert (problem.value.kind, calls) == ("lost-lease", [])


def _locks(message: str, **request: Any) -> list[Any]:
    return LOCKING._locks_for(message, MESSAGES[message], request)


LOCKING = dispatcher.Dispatcher(layout.StoreLayout("/nowhere"), 0, 1)


def test_requests_that_change_one_instance_take_turns() -> None:
    documents = [{"name": name, "generation": "0123abcd"} for name in ("web-0", "web-1")]
    launching = _locks("launch", instances=documents)
    assert len(launching) == 2
    assert _locks("retire", key="web-1.0123abcd") == launching[1:]
    assert not set(_locks("retire", key="web-2.0123abcd")) & set(launching)


def test_of_an_exclusive_message_one_is_handled_at_a_time_whatever_it_changes() -> None:
    exclusive = [name for name, message in MESSAGES.items() if message.exclusive]
    assert all(_locks(name, key="a") == _locks(name, key="b") for name in exclusive)
    assert len({lock for name in exclusive for lock in _locks(name)}) == len(exclusive)


HANDLER = '''"""Answers a greeting."""


def greet(root, request, context):
    """What was asked, and whether the store can be changed."""
    return {"owner": request["owner"], "fenced": hasattr(root, "fence")}
'''
ROW = '\n\nMESSAGES["greet"] = Message("handlers.greet", "greet", needs_lease=True)\n'
GREETING = """
import json, sys
sys.path.insert(0, sys.argv[1])
from onhost import dispatcher
from onhost.protocol.request_context import RequestContext
from onhost.storage import layout
root = layout.StoreLayout(sys.argv[2])
root.prepare()
serving = dispatcher.Dispatcher(root, 0, 1)
owner = {"owner": "shop-5f0c2a"}
for request in ({"message": "greet"}, {"message": "lease", "mark": "shop", "id": "5f0c2a"}, {"message": "greet"}):
    print(serving._reply_body(RequestContext(serving, 1, {**owner, **request})).decode())
"""


def test_a_new_message_needs_a_row_and_a_handler(tmp_path: Path) -> None:
    tree = tmp_path / "onhost"
    shutil.copytree(ONHOST, tree)
    (tree / "handlers" / "greet.py").write_text(HANDLER)
    with (tree / "protocol" / "messages.py").open("a") as table:
        table.write(ROW)
    command = [sys.executable, "-I", "-S", "-c", GREETING, str(tmp_path), str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    without_lease, lease, greeting = done.stdout.splitlines()
    assert '"lost-lease"' in without_lease
    assert lease == '{"ok":{"token":1}}'
    assert greeting == f'{{"ok":{{"owner":"{OWNER}","fenced":true}}}}'
