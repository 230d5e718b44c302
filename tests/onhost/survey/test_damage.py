"""Whatever lies in a store in place of what belongs there: the survey answers and names it, and the rest is as ever.

An apply writes it anew or says what to do. Nothing is removed that unictl did not put there.
"""

import hashlib
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.onhost.world import OWNER, World, document, short_folder
from unictl.instances.observed import host_state
from unictl.onhost import errors
from unictl.onhost.handlers import survey
from unictl.onhost.instances import claims, run_log
from unictl.onhost.protocol import frames
from unictl.onhost.storage import atomic, layout

OTHER = "blog-77aa11"
KEY = "web-0.0123abcd"
PATIENCE = 20.0


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


ODD: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: (path.mkdir(), (path / "mine").write_text("keep")),
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}
"""What is no file at all."""
DAMAGES: dict[str, Callable[[Path], object]] = {
    **ODD,
    "nothing": lambda _path: None,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "bytes": _content(bytes(range(256)) * 4),
    "null": _content(b"null"),
    "a list": _content(b"[1,null]"),
    "nesting": _content(b"[" * 100_000),
    "endless": _huge,
}
RECORD = (f"instances/{KEY}/record.json", "instances/web-1.0123abcd/record.json")
READ_OF_OTHERS = (*RECORD, "fleet.json", "ingress/haproxy.cfg")


class Store:
    """A host with two fleets, each with two instances, a volume, an image, a ledger and what was last applied."""

    def __init__(self) -> None:
        self.world = World(short_folder())
        self.root = Path(self.world.root.path)
        for owner in (OTHER, OWNER):
            self._fill(owner)
        self.before = self.world.survey()
        self.pids = {key: self.world.pid(key) for key in self.states(self.before)}

    def _fill(self, owner: str) -> None:
        world = self.world
        port = 28700 + (owner == OTHER)
        world.acquire(owner=owner, mark=owner.partition("-")[0], id=owner.partition("-")[2])
        self.sha = hashlib.sha256(b"kernel").hexdigest()
        world.do("stage", b"kernel", owner=owner, digest=self.sha, size=6)
        world.do("volume", owner=owner, action="create", name="orders", size=4096)
        forwards = [{"name": "http", "host": port, "guest": 80, "bind": "127.0.0.1"}]
        documents = [document("web-0", volumes=["orders"], forwards=forwards, memory=1 << 20), document("web-1")]
        world.do("launch", owner=owner, instances=[*documents, document("old-0")], secrets={})
        world.do("retire", owner=owner, key="old-0.0123abcd", grace=1000, keep=5)
        world.do("set-marks", owner=owner, key=KEY, protect=False, commit="c", proven=True)
        told = {"end": "complete", "took": {"launch": [5, 2]}, "unhealthy": {"web": ["1:x"]}}
        world.do("append-ledger", owner=owner, entry=told)
        world.do("record-applied", owner=owner, policy={"max_destroy": "20%"}, hosts=["here 0123"])
        world.do("collect-garbage", owner=owner, images=[self.sha], revision="r1")
        if owner == OTHER:
            place = Path(world.root.fleet(owner)) / "ingress"
            place.mkdir()
            (place / "haproxy.cfg").write_text(f"listen a\n    bind 127.0.0.1:{port + 100}\n")
            world.do("release", owner=owner)

    def files(self, below: str) -> list[str]:
        found = (each for each in sorted((self.root / below).rglob("*")) if each.is_file())
        return [str(each.relative_to(self.root)) for each in found]

    @staticmethod
    def states(told: dict[str, Any]) -> dict[str, str]:
        return {f"{row['name']}.{row['generation']}": row["state"] for row in told["instances"]}

    def damaged(self, path: str, damage: Callable[[Path], object], act: Callable[[Path], None]) -> None:
        """Act while something else lies at a path; then it is again what it was."""
        place, aside = self.root / path, self.root.with_name(self.root.name + ".aside")
        os.rename(place, aside)
        try:
            damage(place)
            act(place)
        finally:
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
            os.rename(aside, place)

    def rows(self) -> dict[str, Any]:
        """Of a survey only what is told of records, wished to be others: their specs too."""
        notes: list[errors.HostError] = []
        told = {"instances": survey.instance_rows(self.world.root, OWNER, {"web": "another"}, notes)}
        claims.foreign_claims(self.world.root, OWNER, set(), lambda *_: [], notes)
        for row in json.loads(frames.encode_json(told))["instances"]:
            host_state._decode_instance("here", row)
        return told

    def survey(self, path: Path) -> dict[str, Any] | None:
        """What the host says of itself, as the control side reads it; None where it says that it cannot, and why."""
        told, problem = bounded(self.world.survey)
        if problem is not None:
            assert isinstance(problem, errors.HostError), problem
            assert (str(path) in problem.text or problem.kind == "renamed") and problem.hint
            return None
        assert told is not None
        host_state.decode_survey("here", json.loads(frames.encode_json(told)))
        return told


def bounded(act: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What it gives or raises; it must come to an end."""
    out: list[Any] = [None, None]

    def run() -> None:
        try:
            out[0] = act()
        except BaseException as error:
            out[1] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it waits for ever"
    return out[0], out[1]


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    made = Store()
    try:
        yield made
        assert not made.world.fault()
    finally:
        made.world.close()


@pytest.mark.parametrize("how", DAMAGES)
def test_what_another_fleet_has_is_named_where_it_is_damaged_and_changes_nothing_else(store: Store, how: str) -> None:
    for path in store.files(f"fleets/{OTHER}"):

        def look(place: Path, path: str = path) -> None:
            told = store.survey(place)
            assert told is not None, path
            for same in ("instances", "volumes", "images", "retired", "policy", "hosts", "applies", "gates"):
                assert told[same] == store.before[same], (path, same)
            named = [row for row in told["spoiled"] if row["path"] == str(place)]
            wanted = path.partition("/")[2].partition("/")[2] in READ_OF_OTHERS and how not in (
                *(("nothing", "a link to nothing") if "record" not in path else ()),
                *(("bytes", "null", "a list", "nesting") if "haproxy" in path else ()),
                *(("null",) if "fleet.json" in path else ()),
            )
            assert bool(named) or not wanted, path
            assert not any(row["bars"] or not row["hint"] for row in named), path

        store.damaged(path, DAMAGES[how], look)


@pytest.mark.parametrize("how", DAMAGES)
def test_what_is_damaged_of_an_instance_is_told_with_its_row_and_the_others_are_as_they_were(
    store: Store, how: str
) -> None:
    names = ("record.json", "marks.json", "run-log.jsonl", "console.1")
    for path in [f"fleets/{OWNER}/instances/{KEY}/{name}" for name in names]:
        if not (store.root / path).exists():
            continue

        def look(place: Path) -> None:
            told = store.survey(place)
            assert told is not None
            rows, before = ({f"{r['name']}.{r['generation']}": r for r in t["instances"]} for t in (told, store.before))
            assert {key: rows[key] for key in rows if key != KEY} == {key: before[key] for key in before if key != KEY}
            if rows[KEY]["state"] == "damaged":
                assert str(place) in rows[KEY]["why"]
            else:
                assert rows[KEY]["state"] == "running" and place.name != "record.json"
            if place.name == "record.json" and how != "nothing":
                assert rows[KEY]["protect"] is False, "its marks say so"

        store.damaged(path, DAMAGES[how], look)


@pytest.mark.parametrize("how", DAMAGES)
def test_whatever_of_a_store_is_damaged_the_survey_answers_or_names_it(store: Store, how: str) -> None:
    own = [path for path in store.files("") if not path.startswith((f"fleets/{OTHER}/", "run/"))]
    for path in own:

        def look(place: Path, path: str = path) -> None:
            told = store.survey(place)
            if told is None:
                return
            states = {state for key, state in store.states(told).items() if key not in path}
            assert states == {"running"}, path
            if how in ODD and path.startswith(f"fleets/{OWNER}/") and path.count("/") == 2:
                (row,) = [row for row in told["spoiled"] if row["path"] == str(place)]
                assert row["bars"] == (how == "a folder" or path.endswith("ledger.jsonl")), path
                assert row["hint"], path

        store.damaged(path, DAMAGES[how], look)


@pytest.mark.parametrize("how", DAMAGES)
def test_an_apply_writes_anew_what_is_damaged_or_says_what_to_do_and_removes_nothing_of_others(
    store: Store, how: str
) -> None:
    own = [path for path in store.files("") if not path.startswith(("run/", "images/", "host-id", "format"))]
    theirs = [path for path in own if path.startswith(f"fleets/{OTHER}/")]
    content = {path: (store.root / path).read_bytes() for path in theirs}
    for path in own:
        if not (store.root / path).is_file():
            # A pin that is not needed any more.
            continue

        def act(place: Path, path: str = path) -> None:
            for name, ask in _verbs(store).items():
                _, problem = bounded(lambda name=name, ask=ask: store.world.do(name, **ask))  # type: ignore[misc]
                if problem is not None:
                    assert isinstance(problem, errors.HostError | OSError), (path, name, problem)
                    told = problem if isinstance(problem, errors.HostError) else atomic.from_os_error(problem)
                    if told.kind != "lost-lease":
                        named = str(place) in told.text or "volume orders" in told.text
                        assert named and told.hint, (path, name, told.text)
            if how == "a folder":
                assert (place / "mine").read_text() == "keep", path
            same = {each: data for each, data in content.items() if each != path}
            assert {each: (store.root / each).read_bytes() for each in same} == same, path

        store.damaged(path, DAMAGES[how], act)
        store.world.do("release")
        store.world.acquire()
    assert {key: store.world.pid(key) for key in store.pids} == store.pids
    assert set(store.world.states().values()) == {"running"}


def _verbs(store: Store) -> dict[str, dict[str, Any]]:
    """What an apply asks of a host, that changes nothing where it is done twice."""
    return {
        "release": {},
        "lease": {"mark": "shop", "id": "5f0c2a", "holder": {"user": "test"}, "wait": 0},
        "stage": {"digest": store.sha, "size": 6},
        "volume": {"action": "create", "name": "orders", "size": 4096},
        "set-marks": {"key": "web-1.0123abcd", "protect": False, "commit": "c", "proven": True},
        "record-applied": {"policy": {"max_destroy": "20%"}, "hosts": ["here 0123"]},
        "append-ledger": {"entry": {"end": "complete", "took": {"launch": [5, 2]}, "unhealthy": {"web": ["1:x"]}}},
        "collect-garbage": {"images": [store.sha], "revision": "r1"},
    }


ODD_VALUES: tuple[Any, ...] = (None, [None], {"a": None}, "x", -1, 1 << 80, float("nan"))


def _variants(tree: Any) -> Iterator[Any]:
    """The same tree with one value in it, at any depth, of another kind."""
    yield from ODD_VALUES
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        for other in _variants(value):
            copy = dict(tree) if isinstance(tree, dict) else list(tree)
            copy[key] = other
            yield copy


@pytest.mark.parametrize(
    "path",
    [
        *(f"{OWNER}/instances/{KEY}/{name}" for name in ("record.json", "marks.json", "run-log.jsonl")),
        *(f"{OWNER}/{name}.json" for name in ("fleet", "policy", "hosts", "gates", "revisions")),
        f"{OWNER}/ledger.jsonl",
        *(f"{OTHER}/{name}" for name in (f"instances/{KEY}/record.json", "fleet.json", "revisions.json")),
    ],
)
def test_a_value_of_another_kind_at_any_depth_of_a_file_breaks_no_survey(store: Store, path: str) -> None:
    path = "fleets/" + path
    whole = json.loads((store.root / path).read_bytes().splitlines()[-1])
    if "digest" in whole:
        # As in a store of an earlier layout: else every change would be told as one.
        del whole["digest"]
    for tree in _variants(whole):

        def look(place: Path, tree: Any = tree) -> None:
            told = store.rows() if "/instances/" in path else store.survey(place)
            if told is None and place.name == "fleet.json":
                # It has another name now.
                return
            assert told is not None, tree
            assert store.states(told).keys() == store.states(store.before).keys(), tree
            assert store.states(told)["web-1.0123abcd"] == "running", tree

        store.damaged(path, _content(json.dumps(tree).encode() + b"\n"), look)


def test_what_lies_among_instances_and_volumes_and_is_none_is_told_and_left_alone(store: Store) -> None:
    fleet = store.root / "fleets" / OWNER
    before = store.world.survey()
    strays = [fleet / "instances" / "notes.txt", fleet / "instances" / "a b", fleet / "volumes" / "README"]
    for stray in strays:
        stray.write_text("mine")
    try:
        told = store.world.survey()
        assert told["instances"] == before["instances"]
        assert told["volumes"] == before["volumes"]
        assert {row["path"] for row in told["spoiled"]} == {str(stray) for stray in strays}
        assert not any(row["bars"] for row in told["spoiled"])
        store.world.do("collect-garbage", images=[store.sha], revision="r1")
        assert all(stray.read_text() == "mine" for stray in strays)
    finally:
        for stray in strays:
            stray.unlink()


def test_a_store_whose_format_or_id_cannot_be_read_is_not_touched(tmp_path: Path) -> None:
    root = layout.StoreLayout(str(tmp_path / "root"))
    root.prepare()
    for name, content in (("format", b"[]"), ("format", b"?"), ("host-id", b"\xff\n")):
        place, whole = Path(root.path) / name, (Path(root.path) / name).read_bytes()
        place.write_bytes(content)
        with pytest.raises(errors.HostError) as told:
            root.prepare()
            root.host_id()
        assert (told.value.kind, told.value.path) == ("damaged", str(place))
        assert told.value.hint
        assert place.read_bytes() == content
        place.write_bytes(whole)


def test_odd_lines_among_the_facts_of_an_instance_are_ignored_as_torn_ones_are(tmp_path: Path) -> None:
    entry = {"event": "started", "n": 1, "pid": 7, "ticks": 9, "at": 1.5}
    run_log.append(str(tmp_path), entry)
    with (tmp_path / "run-log.jsonl").open("ab") as file:
        file.write(b'{"event":"ended","n":"x"}\n{"event":7}\n[]\n{"event":"ended","console":[1]}\n')
    assert run_log.last_entry(str(tmp_path)) == entry
    assert run_log.read_entries(str(tmp_path)) == [entry]
