"""The way to a host by the system's ssh, and every way in which it can fail: each its own sentence and next step."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import Lab, LabHost
from unictl.execution.surveys import Connections, survey_all
from unictl.fleet.model import ConnectionAddress, Host
from unictl.hosts import openssh
from unictl.hosts.connector import connect_host
from unictl.instances.observed.host_state import Survey, UnreachableHost

pytestmark = pytest.mark.real
Configured = Callable[..., dict[str, str]]
OWNER = "lab-1ab3e7"


def host(name: str = "hv1", *, user: str = "root", become: bool = False, port: int = 0, address: str = "") -> Host:
    return Host(
        name=name, connect=ConnectionAddress(kind="ssh", host=address or name, user=user, port=port), become=become
    )


def survey(lab: Lab, *hosts: Host, env: Mapping[str, str] | None = None) -> dict[str, Survey | UnreachableHost]:
    async def act() -> Connections:
        told = {each.name: each for each in hosts}
        found = await survey_all(
            told, lambda each: connect_host(each, env=env or lab.env), owner=OWNER, mark="lab", fingerprints={}
        )
        await found.close()
        return found

    return asyncio.run(act()).live_state


def answer(lab: Lab, one: Host, env: Mapping[str, str] | None = None) -> Survey:
    said = survey(lab, one, env=env)[one.name]
    assert isinstance(said, Survey), said
    return said


def silence(lab: Lab, one: Host, env: Mapping[str, str] | None = None) -> str:
    """Why it does not answer, and what to do."""
    said = survey(lab, one, env=env)[one.name]
    assert isinstance(said, UnreachableHost), said
    return f"{said.reason} -> {said.hint}"


@pytest.fixture
def configured(ready: Lab, tmp_path: Path) -> Configured:
    """An environment whose ssh reads these lines of a user's configuration before the lab's."""

    def made(lines: str, key: bool = True) -> dict[str, str]:
        return ready.configured(tmp_path, lines, key=key)

    return made


@contextmanager
def hidden(one: LabHost, path: str) -> Iterator[None]:
    one.enter(f"mv {path} {path}.hidden")
    try:
        yield
    finally:
        one.enter(f"mv {path}.hidden {path}")


# -- what works


def test_root_and_a_user_with_sudo_are_served_and_a_survey_is_one_round_trip(ready: Lab) -> None:
    root, sudo = answer(ready, host()), answer(ready, host("hv2", user="ops", become=True))
    assert (root.round_trips, sudo.round_trips) == (1, 1)
    assert root.root == sudo.root == "/var/lib/unictl"
    assert root.host_id != sudo.host_id
    plain = answer(ready, host("hv2", user="plain"))
    assert plain.root == "/home/plain/.local/state/unictl"
    lacks = {each.code: each.text for each in plain.missing_capabilities}
    assert lacks["no-units"].startswith("what a reboot ends is started by the next apply only: only root")
    assert "ends-at-logout" not in lacks


def test_one_process_and_one_connection_a_host_serve_a_whole_conversation(ready: Lab) -> None:
    async def act() -> tuple[int, int]:
        there = await connect_host(host(), env=ready.env)
        await asyncio.gather(*(there.survey(OWNER, "lab", {}) for _ in range(5)))
        sessions = len(ready["hv1"].processes("sshd: root@notty")), len(ready["hv1"].processes("binascii"))
        await there.close()
        return sessions

    assert asyncio.run(act()) == (1, 1)
    assert ready["hv1"].processes("binascii") == []


def test_a_jump_host_leads_an_ordinary_user_to_a_host_that_is_not_reached_otherwise(
    ready: Lab, configured: Configured
) -> None:
    ready["hv1"].enter("nft 'add table inet wall; add chain inet wall in { type filter hook input priority 0; }'")
    ready["hv1"].enter("nft add rule inet wall in ip saddr 10.77.0.1 tcp dport 22 reject with tcp reset")
    try:
        assert "nothing answers on its ssh port" in silence(ready, host(user="ops"))
        through = configured("Host hv1\n  ProxyJump plain@hv2\n")
        assert answer(ready, host(user="ops", become=True), through).root == "/var/lib/unictl"
        away = configured("Host hv1\n  ProxyJump plain@hv2\n  HostName 10.77.0.99\n")
        began = time.monotonic()
        assert silence(ready, host(user="ops"), away).startswith("its jump host does not reach it -> check that")
        barred = configured("Host hv1\n  ProxyJump nobody-here@hv2\n")
        assert silence(ready, host(user="ops"), barred).startswith(
            "it refuses the login (nobody-here@10.77.0.12) -> check user"
        )
        assert time.monotonic() - began < 30
    finally:
        ready["hv1"].enter("nft delete table inet wall")


def test_keys_of_an_agent_and_certificates_count(ready: Lab, configured: Configured, tmp_path: Path) -> None:
    assert "refuses the login" in silence(ready, host(), configured("", key=False))
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        env = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
        while not socket.exists():
            time.sleep(0.01)
        subprocess.run(["ssh-add", "-q", str(ready.folder / "user")], env=env, check=True)
        agented = configured(f"Host *\n  IdentitiesOnly no\n  IdentityAgent {socket}\n", key=False)
        assert answer(ready, host(), agented)
    finally:
        agent.terminate()
        agent.wait()
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    mine = f"Host *\n  IdentityFile {other}\n"
    assert "refuses the login" in silence(ready, host(), configured(mine, key=False))
    sign = ["ssh-keygen", "-q", "-s", str(ready.folder / "ca"), "-I", "ops", "-n", "ops", f"{other}.pub"]
    subprocess.run(sign, check=True)
    assert answer(ready, host(user="ops"), configured(mine, key=False))


def test_what_a_configuration_sets_for_people_does_not_disturb(
    ready: Lab, configured: Configured, tmp_path: Path
) -> None:
    odd = "Host *\n  RequestTTY force\n  RemoteCommand tmux\n  LocalForward 22 localhost:22\n  Compression yes\n"
    assert answer(ready, host(), configured(odd))
    master = f"Host *\n  ControlMaster auto\n  ControlPath {tmp_path}/%h\n  ControlPersist 60\n"
    shared = configured(master)
    began = time.monotonic()
    try:
        assert answer(ready, host(), shared).round_trips == 1
        assert answer(ready, host(), shared).host_id
        assert time.monotonic() - began < 20
        assert len(ready["hv1"].processes("sshd: root@notty")) <= 1
    finally:
        subprocess.run(["ssh", "-O", "exit", "root@hv1"], env=shared, capture_output=True, check=True)


def test_a_login_shell_that_prints_is_passed_over(ready: Lab) -> None:
    profile = ready["hv1"].path("/home/ops/.bashrc")
    before = profile.read_text()
    profile.write_text("echo Welcome to hv1; printf 'no end of line'\n" + before)
    try:
        assert answer(ready, host(user="ops", become=True))
    finally:
        profile.write_text(before)


# -- what fails, and how it is told


def test_a_changed_and_an_unknown_host_key_are_two_things(ready: Lab) -> None:
    known = ready.folder / "known_hosts"
    before = known.read_text()
    rows = before.splitlines()
    try:
        known.write_text(rows[0].replace(rows[0].split()[2], rows[1].split()[2]) + "\n")
        assert silence(ready, host()).startswith("its host key has changed -> if it was installed anew")
        known.write_text(rows[1] + "\n")
        assert silence(ready, host()) == (
            "its host key is not known here -> connect once by hand with `ssh`, and check the key"
        )
    finally:
        known.write_text(before)


def test_login_name_and_port_that_are_wrong_are_told_apart(ready: Lab) -> None:
    assert silence(ready, host(user="nobody-here")).startswith(
        "it refuses the login (nobody-here@10.77.0.11) -> check user and key"
    )
    assert silence(ready, host(address="hv9.invalid")).startswith("its name cannot be resolved -> check `connect:`")
    assert silence(ready, host(port=23)).startswith("nothing answers on its ssh port -> check that sshd runs")


def test_python_that_is_missing_or_old_is_told_apart(ready: Lab) -> None:
    one = ready["hv1"]
    with hidden(one, "/usr/bin/python3"):
        assert silence(ready, host()) == "there is no python3 on it -> install python3 (3.9 or later) there"
    one.replace_python(
        "#!/bin/sh\nexec /usr/bin/python3.real -c 'import sys; sys.version_info = (3, 7); a = sys.argv; "
        'sys.argv = a[:1] + a[5:]; exec(a[4])\' "$@"\n'
    )
    try:
        assert silence(ready, host()) == "its python3 is older than 3.9 -> install Python 3.9 or later there"
    finally:
        one.replace_python("")


def test_a_python_that_is_but_python3_minimal_is_told_apart(ready: Lab) -> None:
    one = ready["hv1"]
    one.enter("dpkg --force-depends --remove libpython3.11-stdlib")
    try:
        assert silence(ready, host()).startswith("its python3 has no json module -> install the whole python3 package")
    finally:
        one.fresh()


def test_sudo_that_asks_or_forbids_or_is_missing_is_told_apart(ready: Lab) -> None:
    for user in ("careful", "plain"):
        assert silence(ready, host(user=user, become=True)).startswith("sudo asks for a password -> allow `sudo -n`")
    with hidden(ready["hv1"], "/usr/bin/sudo"):
        assert silence(ready, host(user="ops", become=True)).startswith("there is no sudo on it -> install sudo there")


def test_a_store_that_cannot_be_written_is_told_with_its_path(ready: Lab) -> None:
    one = ready["hv3"]
    one.fresh()
    one.enter("mkdir -p /var/lib/unictl && mount -t tmpfs -o ro lab /var/lib/unictl")
    try:
        told = silence(ready, host("hv3"))
        assert "/var/lib/unictl" in told
        assert "read-only" in told.lower()
    finally:
        one.enter("umount /var/lib/unictl")
    one.enter("mount -t tmpfs -o size=4k,nr_inodes=2 lab /var/lib/unictl")
    try:
        told = silence(ready, host("hv3"))
        assert "space" in told.lower() or "full" in told.lower()
    finally:
        one.enter("umount /var/lib/unictl")


def test_a_host_that_says_nothing_is_given_up_before_and_after_it_was_reached(
    ready: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both at once, on two hosts: no packet comes through; and the connection goes deaf while a survey is under way.
    With shorter limits than those that are shipped."""
    short = {"ConnectTimeout=10": "ConnectTimeout=2", "ServerAliveInterval=5": "ServerAliveInterval=1"}
    assert short.keys() <= set(openssh.OPTIONS)
    monkeypatch.setattr(openssh, "OPTIONS", tuple(short.get(each, each) for each in openssh.OPTIONS))

    async def unreached() -> str:
        found = await survey_all(
            {"hv1": host()}, lambda each: connect_host(each, env=ready.env), owner=OWNER, mark="lab", fingerprints={}
        )
        return said(found.live_state["hv1"])

    async def deaf() -> str:
        there = await connect_host(host("hv2"), env=ready.env)
        await there.survey(OWNER, "lab", {})
        ready["hv2"].drop()
        try:
            await there.survey(OWNER, "lab", {})
        except Exception as failure:
            return str(failure)
        finally:
            await there.close()
        return "it answered"

    async def both() -> tuple[str, str, float]:
        began = time.monotonic()
        told = await asyncio.gather(unreached(), deaf())
        return told[0], told[1], time.monotonic() - began

    def said(each: Any) -> str:
        return f"{each.reason} -> {each.hint}"

    ready["hv1"].drop()
    try:
        first, second, took = asyncio.run(both())
    finally:
        ready["hv1"].mend()
        ready["hv2"].mend()
    assert first.startswith("it cannot be reached -> check that it is up")
    assert "has said nothing for" in second or "the connection was cut" in second
    assert took < 20


def test_a_clock_that_is_off_is_measured(ready: Lab) -> None:
    ready["hv1"].clock(-7200)
    try:
        said = answer(ready, host())
    finally:
        ready["hv1"].clock(0)
    assert -7260 < said.skew < -7140
    assert answer(ready, host()).skew == 0
