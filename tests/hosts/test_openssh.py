"""The whole way over a real sshd on this machine, made for the test."""

import asyncio
import os
import pwd
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts.sshd import SSHD
from tests.hosts.sshd import sshd as daemon
from tests.onhost.world import OWNER, World, document, short_folder
from unictl.diagnostics.failure import Unreachable
from unictl.fleet.model import ConnectionAddress, Host
from unictl.hosts import conversation
from unictl.hosts.connector import connect_host

pytestmark = [pytest.mark.real, pytest.mark.skipif(not SSHD, reason="needs sshd")]
KEY = "web-0.0123abcd"


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The port of an sshd of our own, and an environment whose ``ssh`` knows its key."""
    with daemon(tmp_path) as reached:
        yield reached


def test_survey_launch_and_retire_over_ssh(sshd: tuple[int, dict[str, str]]) -> None:
    port, environment = sshd
    folder = short_folder()
    user = pwd.getpwuid(os.geteuid()).pw_name
    declared = Host(
        name="hv1", connect=ConnectionAddress(kind="ssh", host="127.0.0.1", user=user, port=port), root=folder
    )

    async def act() -> None:
        host = await connect_host(declared, env=environment)
        assert (await host.survey(OWNER, "shop", {}))["instances"] == []
        await host.acquire_lease(OWNER, "shop", "5f0c2a", {"user": "eve"}, 0)
        assert (await host.launch(OWNER, [document()], {}))[0].failure is None
        await host.close()
        host = await connect_host(declared, env=environment)
        assert (await host.survey(OWNER, "shop", {}))["instances"][0]["state"] == "running"
        await host.acquire_lease(OWNER, "shop", "5f0c2a", {"user": "eve"}, 5)
        await host.retire(OWNER, KEY, 1000, 5)
        await host.close()

    try:
        asyncio.run(act())
    finally:
        World(folder).close()


def test_a_refused_login_says_what_to_check(sshd: tuple[int, dict[str, str]]) -> None:
    port, environment = sshd

    async def act() -> None:
        declared = Host(
            name="hv1", connect=ConnectionAddress(kind="ssh", host="127.0.0.1", user="nosuchuser", port=port)
        )
        host = await connect_host(declared, env=environment)
        with pytest.raises(Unreachable) as failure:
            await host.survey(OWNER, "shop", {})
        assert "login" in failure.value.summary
        await host.close()

    asyncio.run(act())


def test_nobody_at_the_port_says_so(sshd: tuple[int, dict[str, str]]) -> None:
    _, environment = sshd

    async def act() -> None:
        declared = Host(name="hv1", connect=ConnectionAddress(kind="ssh", host="127.0.0.1", port=1))
        host = await connect_host(declared, env=environment)
        with pytest.raises(Unreachable) as failure:
            await host.survey(OWNER, "shop", {})
        assert "port" in failure.value.summary
        await host.close()

    asyncio.run(act())


@contextmanager
def crowded(folder: Path) -> Iterator[tuple[Host, dict[str, str], socket.socket]]:
    """A host whose sshd takes no other connection while the one that is given has not logged in."""
    with daemon(folder, "MaxStartups 1\n") as (port, environment):
        # The connection that found it listening may still count.
        while (begun := socket.create_connection(("127.0.0.1", port))).recv(4) != b"SSH-":
            begun.close()
        root = short_folder()
        try:
            yield (
                Host(name="hv1", connect=ConnectionAddress(kind="ssh", host="127.0.0.1", port=port), root=root),
                environment,
                begun,
            )
        finally:
            begun.close()
            shutil.rmtree(root, ignore_errors=True)


def test_a_connection_that_is_dropped_as_it_begins_is_tried_again_and_that_is_told(tmp_path: Path) -> None:
    async def act() -> None:
        host = await connect_host(declared, env=environment)
        asking = asyncio.create_task(host.survey(OWNER, "shop", {}))
        while not host._channel._conversation.drop_count:  # type: ignore[attr-defined]
            assert not asking.done()
            await asyncio.sleep(0.01)
        begun.close()
        assert (await asking)["instances"] == []
        assert host.round_trips == 1
        assert host.notes[0].startswith("host hv1: its sshd, or a jump host's, dropped the connection as it began, ")
        await host.close()

    with crowded(tmp_path) as (declared, environment, begun):
        asyncio.run(act())


def test_an_sshd_that_goes_on_dropping_is_given_up_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "PAUSES", (0.01, 0.02))

    async def act() -> None:
        host = await connect_host(declared, env=environment)
        with pytest.raises(Unreachable) as failure:
            await host.survey(OWNER, "shop", {})
        assert "drops connections as they begin" in failure.value.summary
        assert "MaxStartups" in failure.value.hint
        await host.close()

    with crowded(tmp_path) as (declared, environment, _):
        asyncio.run(act())


@pytest.mark.parametrize("missing", ["key", "host key"])
def test_a_jump_host_never_asks_anything(sshd: tuple[int, dict[str, str]], tmp_path: Path, missing: str) -> None:
    """Neither on the terminal nor in a window: the way to ask there is a program that leaves a trace."""
    port, environment = sshd
    asked = tmp_path / "asked"
    program = tmp_path / "askpass"
    program.write_text(f"#!/bin/sh\ntouch {asked}\necho yes\n")
    program.chmod(0o755)
    lacks = "IdentityFile none" if missing == "key" else "UserKnownHostsFile /dev/null"
    config = tmp_path / "config"
    jump = f"Host jump\n  HostName 127.0.0.1\n  Port {port}\n  {lacks}\n"
    target = f"Host target\n  HostName 127.0.0.1\n  Port {port}\n  ProxyJump nobody@jump\n"
    config.write_text(jump + target + "Host *\n" + config.read_text())
    shown = {**environment, "DISPLAY": ":99", "SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"}

    async def act() -> None:
        host = await connect_host(Host(name="hv1", connect=ConnectionAddress(kind="ssh", host="target")), env=shown)
        began = time.monotonic()
        with pytest.raises(Unreachable) as failure:
            await host.survey(OWNER, "shop", {})
        assert ("login" if missing == "key" else "not known here") in failure.value.summary
        assert time.monotonic() - began < 10
        await host.close()

    asyncio.run(act())
    assert not asked.exists()
