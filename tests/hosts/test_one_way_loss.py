"""A line over which packets come through in one direction only, in a network that the test made for itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.sshd import SSHD

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(os.geteuid() != 0 or not SSHD, reason="needs root for a network of its own, and sshd"),
]
_PROGRAM = """
import asyncio, shutil, subprocess, sys, time
from pathlib import Path
from tests.hosts.sshd import sshd
from tests.onhost.world import OWNER, short_folder
from unictl.diagnostics.failure import Unreachable
from unictl.fleet.model import ConnectionAddress, Host
from unictl.hosts.connector import connect_host
from unictl.onhost.protocol import frames

HERE, THERE = "127.0.0.2", "127.0.0.1"
LOST = (HERE, THERE) if sys.argv[2] == "there" else (THERE, HERE)

def ip(*words):
    subprocess.run(["ip", *words], check=True)

async def act(host):
    await host.survey(OWNER, "shop", {})
    ip("rule", "add", "pref", "50", "from", LOST[0], "to", LOST[1], "blackhole")
    began = time.monotonic()
    try:
        await host.survey(OWNER, "shop", {})
    except Unreachable as failure:
        print(failure.summary)
    await host.close()
    print("in time" if time.monotonic() - began < 8 else "late")

async def whole(port, env):
    reached = ConnectionAddress(kind="ssh", host=THERE, port=port)
    await act(await connect_host(Host(name="hv1", connect=reached, root=root), env=env))

ip("link", "set", "lo", "up")
# What is local is looked up after the rule that loses packets.
ip("rule", "add", "pref", "100", "lookup", "local")
ip("rule", "del", "pref", "0")
frames.SILENCE_LIMIT, frames.PING_INTERVAL = 2.0, 0.2
folder, root = Path(sys.argv[1]), short_folder()
try:
    with sshd(folder) as (port, env):
        with (folder / "config").open("a") as config:
            config.write(f"BindAddress {HERE}\\n")
        try:
            asyncio.run(whole(port, env))
        finally:
            ip("rule", "del", "pref", "50")
finally:
    shutil.rmtree(root, ignore_errors=True)
"""


@pytest.mark.parametrize("lost", ["there", "back"])
def test_a_line_that_loses_what_goes_one_way_is_given_up_as_a_silence(lost: str, tmp_path: Path) -> None:
    """With shorter limits than those that are shipped."""
    words = ["unshare", "--net", sys.executable, "-c", _PROGRAM, str(tmp_path), lost]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=60)
    said, took = done.stdout.splitlines()
    assert said.startswith("host hv1: it has said nothing for 2 s") and took == "in time", done.stderr
