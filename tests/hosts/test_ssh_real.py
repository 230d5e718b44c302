"""The whole way over a real sshd on this machine, made for the test."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.onhost.world import OWNER, World, document, short_folder
from unictl.diagnostics.failure import Unreachable
from unictl.fleet.model import Connect, Host
from unictl.hosts.connect import connect

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""
pytestmark = [pytest.mark.real, pytest.mark.skipif(not SSHD, reason="needs sshd")]
KEY = "web-0.0123abcd"


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The port of an sshd of our own, and an environment whose ``ssh`` knows its key."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    known = (tmp_path / "host.pub").read_text()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {known}")
    (tmp_path / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/user.pub\n"
        f"PidFile {tmp_path}/pid\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
    )
    (tmp_path / "config").write_text(
        f"UserKnownHostsFile {tmp_path}/known\nIdentityFile {tmp_path}/user\nIdentitiesOnly yes\nIdentityAgent none\n"
    )
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/config "$@"\n')
    ssh.chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    daemon = subprocess.Popen([SSHD, "-D", "-e", "-f", str(tmp_path / "sshd_config")], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield port, {**os.environ, "PATH": f"{ssh.parent}:{os.environ['PATH']}"}
    finally:
        daemon.terminate()
        daemon.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 5
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


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
