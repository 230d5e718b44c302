"""The house stands as it was drawn: the ladder, the doors, purity, no circles, and taste that can be scripted."""

import ast
import re
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
    "networkx": {"plan", "views"},
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


def test_networkx_is_imported_by_the_graph_of_steps_and_by_its_drawing_only() -> None:
    importers = {name_of(path) for path in modules() if "networkx" in imports(path)}
    assert importers == {"unictl.plan.rollout.graph", "unictl.views.graph.layered_layout"}


def test_the_host_side_imports_only_itself_and_the_standard_library() -> None:
    found = {i for p in host_side() for i in imports(p)}
    foreign = {
        i for i in found if not i.startswith("unictl.onhost") and i.partition(".")[0] not in sys.stdlib_module_names
    }
    assert foreign == set()


@pytest.mark.parametrize("path", host_side(), ids=name_of)
def test_the_host_side_speaks_python_3_9(path: Path) -> None:
    assert ast.parse(path.read_text(), feature_version=(3, 9))


def imported_names(tree: ast.AST, path: Path) -> dict[str, str]:
    """Local name -> dotted name of what an import anywhere in the file bound it to."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    bound = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                bound[alias.asname or alias.name] = f"{module}.{alias.name}"
    return bound


def used_names(path: Path) -> set[str]:
    """The dotted names that a file uses, resolved through its imports, whatever they are called there."""
    tree = ast.parse(path.read_text())
    bound = imported_names(tree, path)
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound:
            used.add(f"{bound[node.value.id]}.{node.attr}")
        elif isinstance(node, ast.Name) and node.id in bound:
            used.add(bound[node.id])
    return used


def shelf(module: str) -> str:
    """The folder of a room that a module lies in (``storage`` of onhost, ``hypervisors`` for all below it), or the
    module itself where it lies at the room's top."""
    parts = module.split(".")
    return parts[2] if len(parts) > 2 else ""


SHELVES = {
    "onhost": "errors protocol storage platform systemd network lease hypervisors instances images ingress survey "
    "supervision health handlers dispatcher __main__",
    "plan": "model context ingress reconcile rollout guards progress estimates file whatif planner",
    "instances": "launch_record observed desired launch placement",
    "views": "text graph html markdown status_document documents",
    "operations": "request package_data planning setup inspecting",
}
"""The folders of the rooms that have some, and modules beside them, in order: each imports only what is left of it."""


@pytest.mark.parametrize("name", SHELVES)
def test_every_folder_of_a_room_is_on_its_shelf(name: str) -> None:
    there = {shelf(name_of(path)) for path in (PACKAGE / name).rglob("*.py")} - {""}
    assert there <= set(SHELVES[name].split())


@pytest.mark.parametrize("name", SHELVES)
def test_a_folder_of_a_room_imports_only_folders_to_its_left(name: str) -> None:
    order = SHELVES[name].split()
    inside = [(a, b) for a, b in graph().edges if room(a) == room(b) == name and shelf(a) and shelf(b)]
    assert len(inside) > 10
    assert [f"{a} -> {b}" for a, b in inside if order.index(shelf(a)) < order.index(shelf(b))] == []


def test_no_folder_holds_more_modules_than_a_person_keeps_in_mind() -> None:
    folders = {path.parent for path in modules()}
    counts = {str(folder.relative_to(ROOT)): len(list(folder.glob("[!_]*.py"))) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > 20} == {}


ONE_STEM_IN_SEVERAL_ROOMS = {
    "apply",
    "capabilities",
    "driver",
    "drivers",
    "fleet_tests",
    "formats",
    "hosts",
    "ingress",
    "inventory",
    "launch",
    "layout",
    "network",
    "place",
    "preflight",
    "rollout",
    "units",
    "volumes",
    "whatif",
}
"""Each names one thing at several levels (its model, its use case, its view), or is a guard or handler of it."""


def test_a_module_has_a_name_of_its_own() -> None:
    rooms: dict[str, set[str]] = {}
    for path in modules():
        rooms.setdefault(path.stem, set()).add(room(name_of(path)))
    shared = {stem for stem, names in rooms.items() if len(names) > 1}
    assert shared - {"__init__", "__main__"} <= ONE_STEM_IN_SEVERAL_ROOMS


ROLES = {"found", "told", "said", "made", "known", "way", "wished", "each", "kept", "given", "asked", "wanted"}
"""Words that name a role in a sentence and not a thing: no signature has one."""


def test_no_signature_names_a_role_instead_of_a_thing() -> None:
    wrong = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                public = [node.name] if not node.name.startswith("_") else []
                names = (*public, *(argument.arg for argument in arguments))
                bad = [name for name in names if set(name.strip("_").split("_")) & ROLES]
                wrong += [f"{name_of(path)}:{node.lineno} {name}" for name in bad]
    assert wrong == []


FENCED = {
    f"os.{name}"
    for name in ["rename", "replace", "unlink", "remove", "rmdir", "removedirs", "link", "symlink", "truncate"]
}
ATOMIC = "unictl.onhost.storage.atomic"
UNFENCED = {
    f"{ATOMIC}.{name}" for name in ["write", "write_cache", "append", "remove_file", "remove_tree", "remove_atomically"]
}
"""``fenced_store`` has the same behind the fence of a lease."""
BARE = {
    "unictl.onhost.instances.run_log": "facts of a run, written by whoever supervises it",
    "unictl.onhost.instances.console_log": "consoles, likewise",
    "unictl.onhost.images.integrity": "a cache of which images were verified",
}
NEEDS_NO_LEASE = {
    "unictl.onhost.supervision": "looks after what runs, lease or not; its socket lies under a lock of its own",
    "unictl.onhost.instances.run_log": "facts of a run",
    "unictl.onhost.instances.console_log": "consoles",
    "unictl.onhost.storage": "the fence itself, and the token",
    "unictl.onhost.handlers.lease": "who holds the lease",
    "unictl.onhost.hypervisors": "which accelerator works: it can be found out again",
    "unictl.onhost.survey": "the hypervisor's version: likewise",
    "unictl.onhost.platform.own_code": "which code the supervisor runs",
}


def test_files_of_a_store_are_renamed_and_removed_by_its_storage_only() -> None:
    users = {name_of(path) for path in host_side() if used_names(path) & FENCED}
    assert "unictl.onhost.storage.fenced_store" in users
    assert {name for name in users if shelf(name) != "storage"} == set(BARE)


def test_what_a_lease_allows_is_changed_only_behind_its_fence() -> None:
    users = {name_of(path) for path in host_side() if used_names(path) & UNFENCED}
    excused = {
        name: [place for place in NEEDS_NO_LEASE if name == place or name.startswith(place + ".")] for name in users
    }
    assert [name for name, places in excused.items() if not places] == []
    assert {place for places in excused.values() for place in places} == set(NEEDS_NO_LEASE)


def test_no_host_side_module_has_another_way_to_change_files() -> None:
    assert not any({*imports(path)} & {"shutil", "pathlib", "tempfile"} for path in host_side())


STARTS_PROGRAMS = {"systemd", "network", "hypervisors", "ingress", "survey", "platform", "supervision"}


def test_programs_are_started_on_a_host_by_few_folders_only() -> None:
    users = {shelf(name_of(path)) for path in host_side() if "subprocess" in imports(path)}
    assert users <= STARTS_PROGRAMS


def class_definitions(path: Path) -> Iterator[tuple[str, ast.ClassDef]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            yield f"{name_of(path)}.{node.name}", node


def private_methods(node: ast.ClassDef) -> set[str]:
    """What a class keeps to itself: methods of one leading underscore, as Python spells private."""
    names = {method.name for method in node.body if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def base_names(node: ast.ClassDef, path: Path) -> Iterator[str]:
    """The bases of a class by their full names, resolved through the imports of its file."""
    bound = imported_names(ast.parse(path.read_text()), path)
    for base in node.bases:
        head, _, attribute = ast.unparse(base).partition(".")
        yield f"{bound[head]}.{attribute}".rstrip(".") if head in bound else f"{name_of(path)}.{head}"


def test_no_class_of_the_host_side_overrides_a_private_method_of_a_class_in_another_file() -> None:
    """What happens at the end of an instance is read in one file: parts that differ are handed in."""
    privates, bases, modules_of = {}, {}, {}
    for path in host_side():
        for name, node in class_definitions(path):
            privates[name], bases[name] = private_methods(node), list(base_names(node, path))
            modules_of[name] = name_of(path)
    assert len(privates) > 30
    ancestry: networkx.DiGraph[str] = networkx.DiGraph((name, base) for name in bases for base in bases[name])
    pairs = [(name, base) for name in privates if name in ancestry for base in networkx.descendants(ancestry, name)]
    elsewhere = [(name, base) for name, base in pairs if modules_of.get(base, modules_of[name]) != modules_of[name]]
    overridden = [f"{name} overrides {base}" for name, base in elsewhere if privates[name] & privates[base]]
    assert overridden == []


def test_which_supervisor_it_is_asks_only_who_chooses_it_and_the_survey() -> None:
    users = {name_of(path) for path in host_side() if "unictl.onhost.systemd.units.available" in used_names(path)}
    assert users == {
        "unictl.onhost.supervision.supervisor",
        "unictl.onhost.survey.host_facts",
        "unictl.onhost.survey.capabilities",
    }


def test_every_file_that_a_docstring_names_is_in_the_repository() -> None:
    named = {
        (name_of(path), word)
        for path in modules()
        for word in re.findall(r"[\w/.-]+\.(?:md|py|json|yaml)\b", " ".join(docstrings(path)))
        if word.endswith(".md") or word.startswith(("unictl/", "tests/", "schemas/", "playbooks/", "docs/"))
    }
    assert {(module, word) for module, word in named if not (ROOT / word).exists()} == set()


def docstrings(path: Path) -> Iterator[str]:
    """Every text that stands as a statement of its own: docstrings, and notes under constants."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


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
