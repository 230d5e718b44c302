"""Two fleets on one host: what one holds the other is refused, also where both ask at the same moment."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.onhost.world import OWNER, World, document
from unictl.onhost import errors
from unictl.onhost.ingress import ingress_ports
from unictl.onhost.instances import claims
from unictl.onhost.storage import layout
from unictl.onhost.survey import other_stores

OTHER = "mail-1a2b3c"


@pytest.fixture
def other(held: World) -> Iterator[World]:
    """The same host as another fleet sees it, its lease taken."""
    made = World(held.root.path)
    made.acquire(owner=OTHER, mark="mail", id="1a2b3c")
    yield made
    made.do("release", owner=OTHER)


def at_once(held: World, other: World, **run: Any) -> list[dict[str, Any]]:
    """Both launch one instance at the same moment; both outcomes."""
    gate = threading.Barrier(2)
    outcomes: list[dict[str, Any]] = []

    def launch(world: World, owner: str, name: str) -> None:
        gate.wait()
        told = world.do("launch", owner=owner, instances=[document(name, **run)], secrets={})
        outcomes.extend(told["outcomes"])

    threads = [
        threading.Thread(target=launch, args=args) for args in ((held, OWNER, "web-0"), (other, OTHER, "smtp-0"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def retired(held: World, other: World) -> None:
    held.retire("web-0.0123abcd", grace=0)
    other.do("retire", owner=OTHER, key="smtp-0.0123abcd", grace=0, keep=1)


@pytest.mark.parametrize("trial", range(4))
def test_of_two_fleets_that_want_one_port_at_one_moment_one_has_it_and_the_other_is_told_who(
    held: World, other: World, trial: int
) -> None:
    outcomes = at_once(held, other, forwards=[{"name": "http", "host": 28100 + trial, "guest": 80, "bind": ""}])
    lost = [row["problem"] for row in outcomes if not row["ok"]]
    assert [problem["kind"] for problem in lost] == ["taken"]
    assert "web-0.0123abcd of fleet shop-5f0c2a" in lost[0]["text"] or "of fleet mail-1a2b3c" in lost[0]["text"]
    assert len(held.states()) + len(other.do("survey", owner=OTHER, mark="mail", full={})["instances"]) == 1
    retired(held, other)


def test_of_two_fleets_for_which_there_is_not_memory_enough_one_has_it(held: World, other: World) -> None:
    for _ in range(4):
        outcomes = at_once(held, other, memory=claims.host_memory()[0] * 6 // 10)
        lost = [row["problem"] for row in outcomes if not row["ok"]]
        assert [problem["kind"] for problem in lost] == ["taken"]
        assert "1 instance holds" in lost[0]["text"]
        retired(held, other)


def test_what_another_fleet_holds_is_told_to_whoever_plans(held: World, other: World) -> None:
    forwards = [{"name": "http", "host": 28110, "guest": 80, "bind": "127.0.0.1"}]
    held.launch(document(forwards=forwards, memory=1 << 20))
    rows = other.do("survey", owner=OTHER, mark="mail", full={})["claims"]
    mine = [row for row in rows if row["owner"] == OWNER]
    assert {(row["kind"], row.get("port"), row.get("amount")) for row in mine} == {
        ("port", 28110, None),
        ("memory", None, 1 << 20),
    }
    retired(held, other)


def test_also_to_a_fleet_that_was_never_here(held: World) -> None:
    held.launch(document(memory=1 << 20))
    rows = held.do("survey", owner=OTHER, mark="mail", full={})["claims"]
    assert [(row["kind"], row["amount"]) for row in rows if row["owner"] == OWNER] == [("memory", 1 << 20)]


def test_another_store_of_this_machine_with_the_fleet_in_it_is_told(
    held: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = World(str(tmp_path / "other"))
    monkeypatch.setattr(other_stores, "SYSTEM_STORE", held.root.path)
    assert fresh.survey()["elsewhere"] == []
    held.launch(document())
    told = [{"root": held.root.path, "id": held.root.host_id()}]
    assert fresh.survey()["elsewhere"] == told
    assert held.survey()["elsewhere"] == []
    held.retire("web-0.0123abcd", grace=0)
    held.do("collect-garbage", end=True)
    assert fresh.survey()["elsewhere"] == []


def test_a_store_of_root_is_seen_by_who_may_not_list_it(held: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_stores, "SYSTEM_STORE", held.root.path)
    root = layout.StoreLayout("/nowhere")
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        assert [row["root"] for row in other_stores.find_stores(root, OWNER)] == [held.root.path]
        assert other_stores.find_stores(root, OTHER) == []
    finally:
        os.seteuid(before)


def _plain_file(folder: Path) -> None:
    folder.write_text("")


def _file_among_records(folder: Path) -> None:
    (folder / "instances").mkdir(parents=True)
    (folder / "instances" / "README").write_text("")


def _record(run: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "instances" / "smtp-0.0123abcd").mkdir(parents=True)
        (folder / "instances" / "smtp-0.0123abcd" / "record.json").write_text(f'{{"run": {run}}}')

    return write


def _copied_folder(folder: Path) -> None:
    (folder.parent / "shop (copy)" / "instances").mkdir(parents=True)


@pytest.mark.parametrize(
    "spoil",
    [
        _plain_file,
        _file_among_records,
        _copied_folder,
        *map(_record, ('{"forwards":[{}]}', '{"memory":"x"}', '{"memory":1e999}', '{"images":null}', "[]")),
    ],
)
def test_what_is_odd_in_another_fleets_part_of_the_store_is_in_nobody_elses_way(
    held: World, spoil: Callable[[Path], None]
) -> None:
    spoil(Path(held.root.fleets) / OTHER)
    forward = {"name": "http", "host": 28120, "guest": 80, "bind": "127.0.0.1"}
    assert [row["ok"] for row in held.launch(document(forwards=[forward]))] == [True]
    assert held.states() == {"web-0.0123abcd": "running"}
    assert [row["owner"] for row in held.survey()["claims"] if row["kind"] == "memory"] == []
    with pytest.raises(errors.HostError, match=r"web-0\.0123abcd"):
        ingress_ports.check_claims(held.root, [("", 28120)], {})
    held.retire("web-0.0123abcd", grace=0)
    held.do("collect-garbage")
    held.do("inventory")


def forwarding(port: int, bind: str = "127.0.0.1", **kw: Any) -> dict[str, Any]:
    return document(forwards=[{"name": "http", "host": port, "guest": 80, "bind": bind, **kw}])


def test_a_port_that_the_ingress_of_another_fleet_has_to_come_back_to_is_taken(held: World) -> None:
    folder = Path(held.root.fleet(OTHER)) / "ingress"
    folder.mkdir(parents=True)
    (folder / "haproxy.cfg").write_text("frontend http\n    bind 127.0.0.1:28131\n")
    (outcome,) = held.launch(forwarding(28131, bind=""))
    assert outcome["problem"]["kind"] == "taken"
    assert f"the ingress of fleet {OTHER}" in outcome["problem"]["text"]
    assert held.states() == {}
    assert [row["ok"] for row in held.launch(forwarding(28131, udp=True))] == [True]


@pytest.mark.parametrize("recorded", [{"udp": True}, {"bind": "127.0.0.2"}])
def test_another_program_is_seen_also_where_somebody_recorded_only_the_number_of_its_port(
    held: World, other: World, recorded: dict[str, Any]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        asked = {"owner": OTHER, "instances": [forwarding(port, **recorded)], "secrets": {}}
        assert [row["ok"] for row in other.do("launch", **asked)["outcomes"]] == [True]
        (outcome,) = held.launch(forwarding(port))
    assert "another program" in outcome["problem"]["text"]
