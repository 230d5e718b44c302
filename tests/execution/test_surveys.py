"""Hosts are asked all at once, and what a plan needs besides is worked out meanwhile."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from unictl.diagnostics.failure import InvalidFleet
from unictl.execution.surveys import Connections, survey_all
from unictl.fleet.model import ConnectionAddress, Host
from unictl.hosts.connector import connect_host
from unictl.instances.observed.host_state import Survey

OWNER = "shop-5f0c2a"


def asked(
    hosts: list[Host], full: Callable[[], Mapping[str, str]], reach: Callable[[Host], Any] = connect_host
) -> Connections:
    async def act() -> Connections:
        found = await survey_all(
            {each.name: each for each in hosts}, reach, owner=OWNER, mark="shop", fingerprints=full
        )
        await found.close()
        return found

    return asyncio.run(act())


def test_what_is_wished_is_worked_out_while_the_hosts_are_being_reached(tmp_path: Path) -> None:
    begun = threading.Event()

    async def reach(host: Host) -> Any:
        there = await connect_host(host)
        begun.set()
        return there

    def full() -> Mapping[str, str]:
        assert begun.wait(10), "no host was begun with before it was known what to ask"
        return {}

    found = asked([Host(name="h1", root=str(tmp_path / "h1"))], full, reach)
    assert isinstance(found.live_state["h1"], Survey)


def test_a_fleet_that_is_found_wrong_meanwhile_ends_it_at_once_though_a_host_is_not_reached_yet(tmp_path: Path) -> None:
    def full() -> Mapping[str, str]:
        raise InvalidFleet("1 problem in the fleet's files")

    stub = tmp_path / "ssh"
    stub.write_text("#!/bin/sh\nexec sleep 60\n")
    stub.chmod(0o755)
    slow = Host(name="h1", connect=ConnectionAddress(kind="ssh", host="h1"))
    began = time.monotonic()
    with pytest.raises(InvalidFleet, match="1 problem"):
        asked([slow], full, lambda each: connect_host(each, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}))
    assert time.monotonic() - began < 10


def test_thirty_two_hosts_are_asked_at_once_and_no_more(tmp_path: Path) -> None:
    """By forty host sides on this machine: how they are reached is no matter here."""
    hosts = [
        Host(name=f"h{n}", connect=ConnectionAddress(kind="local"), root=str(tmp_path / f"h{n}")) for n in range(40)
    ]
    under_way = most = 0

    async def act() -> Connections:
        async def counted(each: Host) -> Any:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            there = await connect_host(each)
            ask = there.survey

            async def survey(*words: Any) -> Any:
                nonlocal under_way
                told = await ask(*words)
                under_way -= 1
                return told

            there.survey = survey  # type: ignore[method-assign]
            return there

        found = await survey_all({each.name: each for each in hosts}, counted, owner=OWNER, mark="lab", fingerprints={})
        await found.close()
        return found

    world = asyncio.run(act()).live_state
    assert all(isinstance(each, Survey) for each in world.values())
    assert most == 32


def test_a_lost_host_that_hangs_is_given_up_soon_after_the_others_and_one_that_answers_is_heard(tmp_path: Path) -> None:
    stub = tmp_path / "ssh"
    stub.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    stub.chmod(0o755)
    hosts = [
        Host(name="h1", root=str(tmp_path / "h1")),
        Host(name="back", root=str(tmp_path / "back"), lost=True),
        Host(name="dead", connect=ConnectionAddress(kind="ssh", host="dead"), lost=True),
        Host(name="gone", root="/proc/1/nowhere", lost=True),
    ]
    began = time.monotonic()
    found = asked(hosts, dict, lambda each: connect_host(each, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}))
    assert sorted(found.live_state) == ["back", "h1"]
    assert all(isinstance(said, Survey) for said in found.live_state.values())
    assert time.monotonic() - began < 10
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists(), "its ssh is still there"
