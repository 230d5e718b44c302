"""A writer that slept while another took over writes nothing when it wakes: by the lock, and by the token."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.onhost.world import OWNER, World, document, short_folder
from unictl.diagnostics.failure import Failure, Unreachable
from unictl.fleet.model import Host
from unictl.hosts.connection import HostConnection
from unictl.hosts.connector import connect_host
from unictl.hosts.host_failures import HostFailure
from unictl.onhost.lease import fleet_lease

HOLDER = {"user": "eve", "doing": "apply"}


@pytest.fixture
def folder() -> Iterator[str]:
    path = short_folder()
    yield path
    World(path).close()
    shutil.rmtree(path, ignore_errors=True)


async def taken(folder: str, wait: float = 0) -> tuple[HostConnection, int]:
    """A host side that holds the lease, and its pid."""
    host = await connect_host(Host(name="here", root=folder))
    await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, wait)
    return host, int((await host.hello())["pid"])


async def slept_through(folder: str, how: str) -> Failure:
    """What one is told that is stopped, asked to launch, and woken after another took over."""
    sleeper, pid = await taken(folder)
    path = Path(folder) / "leases" / OWNER
    os.kill(pid, signal.SIGSTOP)
    launching = asyncio.create_task(sleeper.launch(OWNER, [document()], {}))
    if how == "the lock file is gone":
        path.unlink()
    else:
        path.write_bytes(b"%020.3f" % (time.monotonic() - fleet_lease.STALE_AFTER - 1))
    other, _ = await taken(folder, wait=5)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    with pytest.raises(Failure) as told:
        await launching
    assert (await other.survey(OWNER, "shop", {}))["instances"] == []
    assert list((Path(folder) / "fleets" / OWNER / "instances").iterdir()) == []
    assert (await other.launch(OWNER, [document()], {}))[0].failure is None
    await other.close()
    await sleeper.close()
    return told.value


def test_one_that_does_not_beat_is_ended_before_its_lease_is_given_away(folder: str) -> None:
    told = asyncio.run(slept_through(folder, "it does not beat"))
    assert isinstance(told, HostFailure | Unreachable)


def test_one_whose_lock_was_lost_finds_by_the_token_that_it_is_not_the_holder(folder: str) -> None:
    told = asyncio.run(slept_through(folder, "the lock file is gone"))
    assert isinstance(told, HostFailure)
    assert told.kind == "lost-lease"
    assert "held here under token 1, was given to another: its token is 2 now" in told.summary


def test_one_that_was_ended_by_name_does_not_come_back(folder: str) -> None:
    async def act() -> None:
        holder, _ = await taken(folder)
        other = await connect_host(Host(name="here", root=folder))
        assert await other.end_lease_holder(OWNER)
        with pytest.raises(HostFailure) as told:
            await holder.launch(OWNER, [document()], {})
        assert told.value.kind == "lost-lease"
        assert (await other.survey(OWNER, "shop", {}))["instances"] == []
        await other.close()
        await holder.close()

    asyncio.run(act())
