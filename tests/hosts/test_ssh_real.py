"""The whole way over a real sshd on this machine, made for the test."""

import asyncio
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.sshd import SSHD
from tests.hosts.sshd import sshd as daemon
from tests.onhost.world import OWNER, World, document, short_folder
from unictl.diagnostics.failure import Unreachable
from unictl.fleet.model import Connect, Host
from unictl.hosts.connect import connect

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
    declared = Host(name="hv1", connect=Connect(kind="ssh", host="127.0.0.1", user=user, port=port), root=folder)

    async def act() -> None:
        host = await connect(declared, env=environment)
        assert (await host.survey(OWNER, "shop", {}))["instances"] == []
        await host.acquire(OWNER, "shop", "5f0c2a", {"user": "eve"}, 0)
        assert (await host.launch(OWNER, [document()], {}))[0]["ok"]
        await host.close()
        host = await connect(declared, env=environment)
        assert (await host.survey(OWNER, "shop", {}))["instances"][0]["state"] == "running"
        await host.acquire(OWNER, "shop", "5f0c2a", {"user": "eve"}, 5)
        await host.retire(OWNER, KEY, 1000, 5)
        await host.close()

    try:
        asyncio.run(act())
    finally:
        World(folder).close()


def test_a_refused_login_says_what_to_check(sshd: tuple[int, dict[str, str]]) -> None:
    port, environment = sshd

    async def act() -> None:
        declared = Host(name="hv1", connect=Connect(kind="ssh", host="127.0.0.1", user="nosuchuser", port=port))
        host = await connect(declared, env=environment)
        with pytest.raises(Unreachable) as failure:
            await host.survey(OWNER, "shop", {})
        assert "login" in failure.value.summary
        await host.close()

    asyncio.run(act())


def test_nobody_at_the_port_says_so(sshd: tuple[int, dict[str, str]]) -> None:
    _, environment = sshd

    async def act() -> None:
        declared = Host(name="hv1", connect=Connect(kind="ssh", host="127.0.0.1", port=1))
        host = await connect(declared, env=environment)
        with pytest.raises(Unreachable) as failure:
            await host.survey(OWNER, "shop", {})
        assert "port" in failure.value.summary
        await host.close()

    asyncio.run(act())
