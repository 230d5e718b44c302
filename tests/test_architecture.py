"""The house stands as it was drawn: the ladder, the doors, purity, no circles, and taste that can be scripted."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "unictl"
PURE = ["diagnostics", "fleet", "declaration", "guests", "hypervisors", "instances", "plan", "journal", "views"]
EDGE = ["processes", "revisions", "images", "secrets", "onhost", "hosts"]
SHELL = ["execution", "history", "operations", "terminal", "cli"]
LADDER = [*PURE, *EDGE, *SHELL]
DOORS = {
    "yaml": {"declaration"},
    "jsonschema": {"declaration"},
    "networkx": {"plan"},
    "git": {"revisions"},
    "subprocess": {"processes", "onhost"},
    "asyncio": {"processes", "hosts", "execution"},
    "click": {"cli"},
    "rich": {"terminal"},
}
IMPURE = {
    "os",
    "time",
    "random",
    "subprocess",
    "socket",
    "threading",
    "asyncio",
    "pathlib",
    "tempfile",
    "shutil",
    "signal",
}
LEFTOVERS = {"util", "utils", "helper", "helpers", "manager", "common", "base", "misc"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def host_side() -> list[Path]:
    return sorted((PACKAGE / "onhost").rglob("*.py"))


def test_the_host_side_is_looked_at_whole() -> None:
    """A pattern that misses the folders would let every test of the host side pass on two files."""
    assert len(host_side()) > 70


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Every module named by an import anywhere in the file: at the top, inside functions, under TYPE_CHECKING."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if is_module(inner) else module


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "unictl" else ""


def graph() -> "networkx.DiGraph[str]":
    drawn: networkx.DiGraph[str] = networkx.DiGraph()
    for path in modules():
        drawn.add_node(name_of(path))
        drawn.add_edges_from((name_of(path), each) for each in imports(path) if each.startswith("unictl."))
    return drawn


def test_every_folder_of_the_package_is_a_room_of_the_ladder() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= set(LADDER)


def test_a_room_imports_only_rooms_to_its_left() -> None:
    wrong = [
        f"{a} -> {b}"
        for a, b in graph().edges
        if room(a) and room(b) and room(a) != room(b) and LADDER.index(room(a)) < LADDER.index(room(b))
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert [sorted(c) for c in networkx.strongly_connected_components(graph()) if len(c) > 1] == []


def test_a_pure_room_reaches_only_pure_rooms() -> None:
    drawn = graph()
    starts = [node for node in drawn if room(node) in PURE]
    wrong = {f"{a} -> {b}" for a in starts for b in networkx.descendants(drawn, a) if room(b) and room(b) not in PURE}
    assert wrong == set()


@pytest.mark.parametrize("path", [p for p in modules() if room(name_of(p)) in PURE], ids=name_of)
def test_a_pure_module_imports_nothing_that_does_io(path: Path) -> None:
    assert {each.partition(".")[0] for each in imports(path)} & IMPURE == set()


@pytest.mark.parametrize("library", sorted(DOORS))
def test_a_library_comes_in_by_its_door_only(library: str) -> None:
    rooms = {room(name_of(p)) for p in modules() if any(i.partition(".")[0] == library for i in imports(p))}
    assert rooms <= DOORS[library]


def test_the_host_side_imports_only_itself_and_the_standard_library() -> None:
    found = {i for p in host_side() for i in imports(p)}
    foreign = {
        i for i in found if not i.startswith("unictl.onhost") and i.partition(".")[0] not in sys.stdlib_module_names
    }
    assert foreign == set()


@pytest.mark.parametrize("path", host_side(), ids=name_of)
def test_the_host_side_speaks_python_3_9(path: Path) -> None:
    assert ast.parse(path.read_text(), feature_version=(3, 9))


FENCED = {"rename", "replace", "unlink", "remove", "rmdir", "removedirs", "link", "symlink", "truncate"}
UNFENCED = {"write", "write_cache", "append", "remove_file", "remove_tree", "remove_atomically"}
"""Of ``atomic``; ``fenced_store`` has the same behind the fence of a lease."""
DOOR = {"atomic", "fenced_store"}
NEEDS_NO_LEASE = {
    "start_instance", "systemd_daemon", "daemon", "supervised_process", "console", "run_log", "console_log",
    # ... who looks after what runs
    "daemon_client",  # the supervisor's socket, under the supervisor's own lock
    "fence", "lease",  # the token itself, and who holds it
    "accelerator", "own_code", "host_facts",  # what can be found out again
}  # fmt: skip


def calls_of(path: Path, module: str, names: set[str]) -> bool:
    """Whether a file uses one of these names of a module."""
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {(module, name) for name in names}
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_what_a_lease_allows_is_changed_only_behind_its_fence() -> None:
    bare = {p.stem for p in host_side() if calls_of(p, "os", FENCED)}
    assert bare - DOOR == {"run_log", "console_log", "integrity"}  # consoles and facts of a run; a cache
    past = {p.stem for p in host_side() if calls_of(p, "atomic", UNFENCED)}
    assert past - DOOR == NEEDS_NO_LEASE
    assert not any(set(imports(p)) & {"shutil", "pathlib", "tempfile"} for p in host_side())


def test_nothing_prints_outside_the_command_line() -> None:
    calls = [
        f"{name_of(path)}:{node.lineno}"
        for path in modules()
        if room(name_of(path)) != "cli"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


def test_only_the_command_line_reads_the_environment() -> None:
    """The host side is a process of its own and may ask where its user's files lie."""
    reads = [
        f"{name_of(path)}:{node.lineno}"
        for path in modules()
        if room(name_of(path)) not in ("cli", "onhost")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]
    assert reads == []


def test_no_module_is_named_after_leftovers() -> None:
    assert {path.stem for path in modules()} & LEFTOVERS == set()


def test_every_module_says_what_lives_in_it() -> None:
    assert [name_of(p) for p in modules() if not ast.get_docstring(ast.parse(p.read_text()))] == []
