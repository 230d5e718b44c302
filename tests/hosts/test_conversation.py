"""A real host side as a child process: started from its zip, asked, uploaded to, cut off."""

import asyncio
import hashlib
import io
import os
import shutil
import signal
import stat
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import unictl.onhost
from tests.hosts.slow_ssh import environment
from tests.onhost.world import OWNER, World, document, short_folder
from unictl.diagnostics.failure import Failure, Unreachable
from unictl.fleet.model import ConnectionAddress, Host
from unictl.hosts import archive, connection, openssh, session
from unictl.hosts.connection import HostConnection
from unictl.hosts.connector import connect_host
from unictl.hosts.host_failures import HostBusyFailure, HostFailure, HostTakenFailure
from unictl.journal.ledger_entry import LedgerEntry
from unictl.onhost.protocol import frames

IMAGE = os.urandom(3_000_000)
SHA = hashlib.sha256(IMAGE).hexdigest()
KEY = "web-0.0123abcd"
HOLDER = {"user": "eve", "doing": "apply", "revision": "c0ffee"}


@pytest.fixture
def folder() -> Any:
    path = short_folder()
    yield path
    World(path).close()
    shutil.rmtree(path, ignore_errors=True)


def run(act: Callable[[Any], Awaitable[None]], folder: str, **how: Any) -> None:
    """Run a coroutine with a connected host."""

    async def whole() -> None:
        host = await connect_host(Host(name="here", root=folder), **how)
        try:
            await act(host)
        finally:
            await host.close()

    asyncio.run(whole())


def entry(**fields: Any) -> LedgerEntry:
    return LedgerEntry(at=1.0, user="eve", end="complete", **fields)


async def survey(host: HostConnection) -> dict[str, Any]:
    return await host.survey(OWNER, "shop", {})


def test_a_survey_of_a_fresh_host(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        told = await host.hello()
        assert told["root"] == folder
        reply = await survey(host)
        assert reply["host"]["id"] == told["id"]
        assert reply["instances"] == []

    run(act, folder)


def test_the_whole_way_of_an_instance(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        assert await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0) == 1
        heard: list[int] = []
        assert await host.stage_image(OWNER, SHA, len(IMAGE), lambda: io.BytesIO(IMAGE), heard.append)
        assert heard[-1] == len(IMAGE)
        assert await host.stage_image(OWNER, SHA, len(IMAGE), lambda: io.BytesIO(IMAGE)) is None
        assert await host.change_volume(OWNER, "create", "orders", 4096) == 4096
        argv = ("/bin/sh", "-c", "echo hello; exec sleep 1000")
        (outcome,) = await host.launch(OWNER, [document(argv=argv, images=[SHA], volumes=["orders"])], {})
        assert outcome.failure is None
        await host.update_marks(OWNER, KEY, {"protect": True, "commit": "feed"})
        row = (await survey(host))["instances"][0]
        assert (row["state"], row["protect"], row["commit"]) == ("running", True, "feed")
        told = ""
        while "hello" not in told:
            told = "".join([piece async for piece in host.stream_logs(OWNER, "web-0")])
        assert await host.append_ledger(OWNER, entry(subject="Add a shop")) == 1
        (written,) = await host.read_ledger(OWNER, 5)
        assert (written.subject, written.token) == ("Add a shop", 1)
        await host.record_applied(OWNER, {"max_destroy": "20%"}, ["here"])
        assert await host.retire(OWNER, KEY, 1000, 5) is True
        assert await host.retire(OWNER, KEY, 1000, 5) is False
        await host.collect_garbage(OWNER, ends_fleet=True)
        await host.release_lease(OWNER)
        assert (await survey(host))["lease"] is None

    run(act, folder)


def test_what_lies_in_a_store_is_listed_until_it_is_collected(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0)
        await host.stage_image(OWNER, SHA, len(IMAGE), lambda: io.BytesIO(IMAGE))
        await host.change_volume(OWNER, "create", "orders", 4096)
        inventory = await host.read_inventory(OWNER, check=True)
        (image,), (volume,) = inventory.images, inventory.volumes
        assert (image.digest, image.size, image.state, image.owners) == (SHA, len(IMAGE), "whole", frozenset())
        assert (volume.name, volume.size, volume.used_by, volume.running) == ("orders", 4096, "", False)
        assert inventory.disk_free > 0
        assert (await host.collect_garbage(OWNER)).images == (SHA,)
        assert (await host.read_inventory(OWNER)).images == ()

    run(act, folder)


def test_a_host_without_an_ingress_has_an_empty_configuration(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        config = await host.ingress_config(OWNER)
        assert (config.text, config.digest) == ("", "")

    run(act, folder)


def test_a_followed_console_ends_when_it_is_given_up(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0)
        await host.launch(OWNER, [document(argv=("/bin/sh", "-c", "while :; do echo tick; sleep 0.05; done"))], {})
        pieces: AsyncIterator[str] = host.stream_logs(OWNER, "web-0", follow=True)
        count = 0
        async for piece in pieces:
            count += piece.count("tick")
            if count > 3:
                break
        assert (await survey(host))["instances"][0]["state"] == "running"
        await host.retire(OWNER, KEY, 1000, 5)

    run(act, folder)


def test_many_requests_are_in_flight_at_once(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        replies = await asyncio.gather(*(survey(host) for _ in range(40)))
        assert len({reply["host"]["id"] for reply in replies}) == 1

    run(act, folder)


def test_a_launch_list_longer_than_a_frame_goes_in_several(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0)
        documents = [document(f"web-{number}", spec={"text": "x" * 300_000}) for number in range(5)]
        assert not any(outcome.failure for outcome in await host.launch(OWNER, documents, {}))
        whole = await host.survey(OWNER, "shop", {f"web-{number}": "another" for number in range(5)})
        assert sum(len(row["spec"]["text"]) for row in whole["instances"]) == 1_500_000

    run(act, folder)


def test_a_request_longer_than_a_frame_goes_through_and_holds_nothing_up(folder: str) -> None:
    """What a fleet of 30,000 services asks, and what its apply writes down."""
    names = {f"service-{number}": "1:" + "f" * 64 for number in range(30_000)}

    async def act(host: HostConnection) -> None:
        assert len(frames.encode_json(names)) > 2 * frames.BODY_LIMIT
        both = await asyncio.gather(host.survey(OWNER, "shop", names), survey(host))
        assert [reply["instances"] for reply in both] == [[], []]
        await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0)
        services = {name: (fingerprint,) for name, fingerprint in names.items()}
        await host.append_ledger(OWNER, entry(services=services))
        (written,) = await host.read_ledger(OWNER, 1)
        assert written.services == services

    run(act, folder)


def test_what_is_longer_than_a_host_takes_is_said_before_anything_is_sent_and_the_rest_goes_on(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0)
        with pytest.raises(Failure, match="host here: what it is to be told for `append-ledger` is 17") as failure:
            await host.append_ledger(OWNER, entry(subject="x" * 17_800_000))
        assert "two fleets" in failure.value.hint
        assert await host.read_ledger(OWNER, 1) == []
        assert not host.notes

    run(act, folder)


def test_a_launch_carries_the_secrets_that_its_instances_name_and_counts_them() -> None:
    secrets = {f"s{number}": "x" * 300_000 for number in range(6)} | {"nobody's": "y"}
    documents = [document(f"web-{number}", run={"secrets": [f"s{number}", "s0"]}) for number in range(6)]
    batches = list(connection._split_batches(documents, secrets))
    assert [each for batch, _ in batches for each in batch] == documents
    for batch, named in batches:
        assert set(named) == {name for each in batch for name in each["run"]["secrets"]}
        assert len(frames.encode_json(batch)) + len(frames.encode_json(named)) <= connection.BATCH_LIMIT
    assert list(connection._split_batches([], secrets)) == []


def test_a_long_request_over_a_slow_line_is_no_silence(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes three times as long as a host may be silent."""
    monkeypatch.setattr(frames, "SILENCE_LIMIT", 1.0)
    monkeypatch.setattr(frames, "PING_INTERVAL", 0.2)
    names = {"web-0": "x" * 3_000_000}

    async def act(host: HostConnection) -> None:
        await survey(host)
        assert (await host.survey(OWNER, "shop", names))["instances"] == []
        assert not host.notes

    async def whole() -> None:
        declared = Host(name="hv1", connect=ConnectionAddress(kind="ssh", host="hv1"), root=folder)
        host = await connect_host(declared, env=environment(tmp_path / "bin", 1e6))
        try:
            await act(host)
        finally:
            await host.close()

    asyncio.run(whole())


def test_problems_become_failures_with_their_exit_code(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        with pytest.raises(HostFailure) as lost:
            await host.retire(OWNER, KEY, 0, 5)
        assert (lost.value.kind, lost.value.host, lost.value.code) == ("lost-lease", "here", 1)
        other = await connect_host(Host(name="here", root=folder))
        await other.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0)
        with pytest.raises(HostBusyFailure) as busy:
            await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0)
        assert busy.value.code == 7
        await other.change_volume(OWNER, "create", "orders", 1)
        await other.launch(OWNER, [document(volumes=["orders"])], {})
        with pytest.raises(HostTakenFailure) as taken:
            await other.change_volume(OWNER, "delete", "orders")
        assert taken.value.code == 6
        await other.close()
        assert await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0) == 2

    run(act, folder)


def test_a_control_side_that_dies_leaves_no_lease(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0)

    child = os.fork()
    if child == 0:

        async def hold() -> None:
            host = await connect_host(Host(name="here", root=folder))
            await act(host)
            os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(hold())
    os.waitpid(child, 0)

    async def again(host: HostConnection) -> None:
        assert await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 5) == 2

    run(again, folder)


def test_a_host_side_that_is_killed_is_begun_again_once_and_then_unreachable_with_a_next_step(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        os.kill((await host.hello())["pid"], signal.SIGKILL)
        for _ in range(3):
            assert (await survey(host))["instances"] == []
        assert host.notes == ("host here: the connection was lost in the middle, and was made again",)
        os.kill((await host.hello())["pid"], signal.SIGKILL)
        with pytest.raises(Unreachable) as failure:
            await survey(host)
        assert "here" in failure.value.summary
        assert failure.value.hint

    run(act, folder)


def test_a_lost_connection_goes_on_under_its_lease_where_nobody_else_had_it(folder: str) -> None:
    heard: list[str] = []

    async def act(host: HostConnection) -> None:
        token = await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0)
        os.kill((await host.hello())["pid"], signal.SIGKILL)
        assert (await host.launch(OWNER, [document()], {}))[0].failure is None
        assert await host.append_ledger(OWNER, entry()) == token + 1
        assert len(heard) == 1

    run(act, folder, on_reconnect=heard.append)


def test_a_lost_connection_does_nothing_more_where_somebody_else_had_the_lease(folder: str) -> None:
    async def act(host: HostConnection) -> None:
        await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0)
        os.kill((await host.hello())["pid"], signal.SIGKILL)
        other = await connect_host(Host(name="other", root=folder))
        await other.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 5)
        await other.release_lease(OWNER)
        with pytest.raises(HostFailure) as failure:
            await host.launch(OWNER, [document()], {})
        assert failure.value.kind == "lost-lease"
        assert "somebody else held it meanwhile" in failure.value.summary
        assert (await other.survey(OWNER, "shop", {}))["instances"] == []
        await other.close()

    run(act, folder)


def test_what_a_login_shell_prints_is_skipped(folder: str, tmp_path: Path) -> None:
    noisy = tmp_path / "noisy"
    noisy.write_text('#!/bin/sh\nprintf "Welcome!\\nunictl \\0 almost\\n"\nexec "$@"\n')
    noisy.chmod(0o755)

    async def act(host: HostConnection) -> None:
        assert (await survey(host))["instances"] == []

    run(act, folder, command_prefix=(str(noisy),))


def test_a_host_without_python_is_told_with_what_to_install() -> None:
    async def act() -> None:
        begun = await session.start_conversation(
            "bare", lambda _words: ("/bin/sh", "-c", "echo no-python3 >&2; exit 127")
        )
        with pytest.raises(Unreachable) as failure:
            await begun.send_request({"message": "survey"})
        assert "no python3" in failure.value.summary
        assert "install python3" in failure.value.hint
        await begun.close()

    asyncio.run(act())


def test_a_store_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    async def act(host: HostConnection) -> None:
        with pytest.raises(HostFailure) as problem:
            await survey(host)
        assert str(file) in problem.value.summary

    run(act, str(file / "root"))


def test_a_cancelled_upload_keeps_what_came(folder: str) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            import time

            time.sleep(0.02)
            return super().read(size)

    async def act(host: HostConnection) -> None:
        await host.acquire_lease(OWNER, "shop", "5f0c2a", HOLDER, 0)
        came = asyncio.Event()
        staging = asyncio.create_task(
            host.stage_image(
                OWNER, SHA, len(IMAGE), lambda: Slow(IMAGE), lambda at: came.set() if at > 500_000 else None
            )
        )
        await came.wait()
        staging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await staging
        await asyncio.sleep(0.1)
        heard: list[int] = []
        await host.stage_image(OWNER, SHA, len(IMAGE), lambda: io.BytesIO(IMAGE), heard.append)
        assert heard[0] > 500_000

    run(act, folder)


def test_the_archive_is_the_same_bytes_for_the_same_sources() -> None:
    data, digest = archive.compressed_archive()
    assert hashlib.sha256(data).hexdigest() == digest
    source = Path(unictl.onhost.__file__).parent
    assert archive.build_zip(source) == archive.build_zip(source) == zlib.decompress(data)


def test_ssh_is_spoken_to_with_one_quoted_word() -> None:
    argv = openssh.command_line(
        ConnectionAddress(kind="ssh", host="hv1", user="ops", port=2222), ("sh", "-c", "a 'b' $c")
    )
    assert argv[argv.index("ssh") - 1].startswith("SSH_ASKPASS=")
    assert argv[-3:] == ("--", "hv1", "sh -c 'a '\"'\"'b'\"'\"' $c'")
    assert "BatchMode=yes" in argv


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("ssh: Could not resolve hostname hv1: Name or service not known", "name"),
        ("ssh: connect to host hv1 port 22: Connection refused", "port"),
        ("ops@hv1: Permission denied (publickey).", "login"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", "changed"),
        ("kex_exchange_identification: read: Connection reset by peer", "drops"),
        ("", "cut"),
        ("something new", "ssh failed"),
    ],
)
def test_what_ssh_says_becomes_a_sentence(said: str, word: str) -> None:
    why, hint = openssh.explain_exit(255, said)
    assert word in why
    assert hint


def test_a_host_over_a_stub_ssh(folder: str, tmp_path: Path) -> None:
    stub = tmp_path / "ssh"
    stub.write_text('#!/bin/sh\nfor word; do :; done\nexec sh -c "$word"\n')
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)

    async def act() -> None:
        declared = Host(name="hv1", connect=ConnectionAddress(kind="ssh", host="hv1"), root=folder)
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        host = await connect_host(declared, env=environment)
        assert (await host.survey(OWNER, "shop", {}))["instances"] == []
        await host.close()

    asyncio.run(act())


def test_a_host_that_falls_silent_is_unreachable(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "PING_INTERVAL", 0.1)
    monkeypatch.setattr(frames, "SILENCE_LIMIT", 0.6)

    async def act(host: HostConnection) -> None:
        told = await host.hello()
        os.kill(told["pid"], signal.SIGSTOP)
        with pytest.raises(Unreachable) as failure:
            await survey(host)
        assert "said nothing" in failure.value.summary

    run(act, folder)
