"""Which ports the user of a host may take: what the host side says, held against what the kernel does."""

import asyncio
import os
import shutil
import subprocess
from typing import Any

import pytest

from tests.onhost.world import OWNER, short_folder
from unictl.fleet.model import Host
from unictl.hosts.connector import connect_host

pytestmark = [pytest.mark.real, pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")]
_TRY = """
import socket
for port in (1023, 1024):
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except PermissionError:
            print("denied")
        except OSError:
            print("taken")
        else:
            print("bound")
"""
NO_RIGHT = ("setpriv", "--bounding-set=-net_bind_service")
SOMEBODY = ("setpriv", "--reuid=4242", "--regid=4242", "--clear-groups")
ANY = ("unshare", "--net", "sh", "-c", 'echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$@"', "sh")
"""In a network of its own, whose administrator gives every port to everybody."""


def lacks(way: tuple[str, ...], folder: str) -> dict[str, dict[str, Any]]:
    """What a host reached so says it cannot do, by code."""

    async def act() -> list[dict[str, Any]]:
        host = await connect_host(Host(name="here", root=folder), command_prefix=way)
        try:
            said: list[dict[str, Any]] = (await host.survey(OWNER, "shop", {}))["host"]["lacks"]
            return said
        finally:
            await host.close()

    return {row["code"]: row for row in asyncio.run(act())}


@pytest.mark.parametrize(("way", "first"), [((), 0), (NO_RIGHT, 1024), (SOMEBODY, 1024), ((*ANY, *SOMEBODY), 0)])
def test_a_host_says_from_which_port_its_user_may_listen_as_the_kernel_has_it(way: tuple[str, ...], first: int) -> None:
    folder = short_folder()
    if "--reuid=4242" in way:
        os.chown(folder, 4242, 4242)
    try:
        said = lacks(way, folder)
    finally:
        shutil.rmtree(folder)
    tried = subprocess.run(
        [*way, "/usr/bin/python3", "-c", _TRY], capture_output=True, text=True, check=True, cwd="/", timeout=20
    ).stdout.split()
    assert (tried[0] == "denied") == bool(first) == ("low-ports" in said) and tried[1] != "denied"
    if first:
        assert said["low-ports"]["below"] == first
        assert said["low-ports"]["text"] == "its user may listen on ports from 1024 up only"
