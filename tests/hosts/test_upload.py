"""What of an image travels over a line: only what the host lacks, compressed where the line is what is waited for."""

import asyncio
import hashlib
import io
import random
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.slow_ssh import environment
from tests.onhost.world import OWNER, World, short_folder
from unictl.diagnostics.failure import Failure
from unictl.fleet.model import ConnectionAddress, Host
from unictl.hosts.connection import HostConnection
from unictl.hosts.connector import connect_host
from unictl.onhost import errors
from unictl.onhost.protocol import frames

SIZE = 4 << 20
NOISE = random.Random(1).randbytes(SIZE)
TEXT = b" ".join(word.hex().encode() for word in (NOISE[at : at + 3] for at in range(0, SIZE // 2, 3)))[:SIZE]


@pytest.fixture
def root() -> Iterator[str]:
    path = short_folder()
    yield path
    World(path).close()
    shutil.rmtree(path, ignore_errors=True)


def over(line: dict[str, str], root: str, act: Callable[[Any], Awaitable[None]], wait: float = 0) -> None:
    """Run a coroutine with a host at the other end of a line."""
    declared = Host(name="hv1", connect=ConnectionAddress(kind="ssh", host="hv1"), root=root)

    async def whole() -> None:
        host = await connect_host(declared, env=line)
        try:
            await host.acquire_lease(OWNER, "shop", "5f0c2a", {"user": "eve"}, wait)
            await act(host)
        finally:
            await host.close()

    asyncio.run(whole())


async def send(host: HostConnection, data: bytes, *like: bytes) -> int:
    alike = [hashlib.sha256(each).hexdigest() for each in like]
    digest = hashlib.sha256(data).hexdigest()
    sent = await host.stage_image(OWNER, digest, len(data), lambda: io.BytesIO(data), None, alike)
    return sent or 0


def test_over_a_slow_line_an_image_travels_compressed(root: str, tmp_path: Path) -> None:
    async def act(host: HostConnection) -> None:
        assert await send(host, TEXT) < 0.75 * len(TEXT)

    over(environment(tmp_path / "bin", 4e6), root, act)
    assert (Path(root) / "images" / hashlib.sha256(TEXT).hexdigest()).read_bytes() == TEXT


def test_what_does_not_compress_costs_no_more_than_it_is(root: str, tmp_path: Path) -> None:
    async def act(host: HostConnection) -> None:
        assert await send(host, NOISE) < 1.01 * len(NOISE)

    over(environment(tmp_path / "bin", 8e6), root, act)


def test_what_came_before_the_line_was_cut_is_not_sent_again(root: str, tmp_path: Path) -> None:
    digest, told = hashlib.sha256(NOISE).hexdigest(), list[int]()

    async def act(host: HostConnection) -> None:
        def heard(at: int) -> None:
            if at > SIZE // 2 and not host.notes and (not told or told[-1] <= SIZE // 2):
                host._channel._conversation._kill()
            told.append(at)

        await host.stage_image(OWNER, digest, SIZE, lambda: io.BytesIO(NOISE), heard)
        assert "lost in the middle" in host.notes[0]
        assert told == sorted(told), "it began again from nothing"

    over(environment(tmp_path / "bin", 4e6), root, act)
    assert (Path(root) / "images" / digest).read_bytes() == NOISE


@pytest.mark.parametrize("where", ["in place", "put in", "taken out"])
def test_of_a_changed_image_only_the_change_travels(root: str, tmp_path: Path, where: str) -> None:
    at, many = SIZE // 3, SIZE // 100
    new = {
        "in place": NOISE[:at] + bytes(many) + NOISE[at + many :],
        "put in": NOISE[:at] + NOISE[:many][::-1] + NOISE[at:],
        "taken out": NOISE[:at] + NOISE[at + many :],
    }[where]

    async def act(host: HostConnection) -> None:
        await send(host, NOISE)
        assert await send(host, new, NOISE) < 0.06 * SIZE
        # Of the same size, and no file that could be told from it.
        assert await send(host, new[: SIZE // 2] + b"!" + new[SIZE // 2 + 1 :], NOISE) < 0.12 * SIZE

    over(environment(tmp_path / "bin", 1e9), root, act)
    assert (Path(root) / "images" / hashlib.sha256(new).hexdigest()).read_bytes() == new


def test_a_similar_image_that_is_damaged_or_gone_does_no_harm(root: str, tmp_path: Path) -> None:
    new = NOISE[: SIZE // 2] + b"new" + NOISE[SIZE // 2 :]
    damaged = Path(root) / "images" / hashlib.sha256(NOISE).hexdigest()

    async def act(host: HostConnection) -> None:
        await send(host, NOISE)
        damaged.chmod(0o644)
        damaged.write_bytes(NOISE[: SIZE // 4] + b"?" * (SIZE // 4) + NOISE[SIZE // 2 :])
        assert SIZE // 4 < await send(host, new, NOISE, b"never seen") < SIZE // 2

    over(environment(tmp_path / "bin", 1e9), root, act)
    assert (damaged.parent / hashlib.sha256(new).hexdigest()).read_bytes() == new


def test_a_piece_that_unpacks_to_more_than_a_frame_may_hold_is_cut_and_one_that_cannot_be_unpacked_refused() -> None:
    kind, body = frames.pack_data(7, bytes(frames.DATA_LIMIT * 4))
    assert kind == frames.DEFLATED
    offset, piece = frames.unpack_data(kind, body)
    assert (offset, len(piece)) == (7, frames.DATA_LIMIT)
    with pytest.raises(errors.HostError, match="unpacked"):
        frames.unpack_data(frames.DEFLATED, frames.OFFSET.pack(0) + b"nonsense")


def test_a_file_that_was_cut_short_ends_its_request_and_nobody_waits_for_it(root: str, tmp_path: Path) -> None:
    """Over a line, where something alike is there: it is mapped to be compared."""
    (tmp_path / "image").write_bytes(b"")

    async def act(host: HostConnection) -> None:
        await send(host, NOISE)
        changed = NOISE[:-1] + b"!"
        digest, alike = hashlib.sha256(changed).hexdigest(), hashlib.sha256(NOISE).hexdigest()
        cut = host.stage_image(OWNER, digest, len(changed), lambda: (tmp_path / "image").open("rb"), None, [alike])
        with pytest.raises(Failure):
            await asyncio.wait_for(cut, 30)

    over(environment(tmp_path / "bin", 40e6), root, act)


def test_a_fault_while_a_file_is_sent_ends_its_request_and_says_what_it_was(root: str, tmp_path: Path) -> None:
    class Odd(io.BytesIO):
        def read(self, *_: int) -> bytes:
            raise RuntimeError("no such place")

    async def act(host: HostConnection) -> None:
        sending = host.stage_image(OWNER, hashlib.sha256(NOISE).hexdigest(), len(NOISE), lambda: Odd(NOISE), None, [])
        with pytest.raises(Failure, match="cannot be sent there any more: no such place"):
            await asyncio.wait_for(sending, 30)

    over(environment(tmp_path / "bin", 40e6), root, act)


@pytest.mark.parametrize("how", ["cut short", "replaced in place"])
def test_a_file_that_is_written_to_while_it_travels_is_named_and_what_came_of_it_is_kept(
    root: str, tmp_path: Path, how: str
) -> None:
    image = tmp_path / "api.elf"
    image.write_bytes(NOISE)
    digest = hashlib.sha256(NOISE).hexdigest()

    def spoil(at: int) -> None:
        if at > SIZE // 4:
            image.write_bytes(b"" if how == "cut short" else NOISE[::-1])

    async def act(host: HostConnection) -> None:
        with pytest.raises(Failure) as told:
            await host.stage_image(OWNER, digest, SIZE, lambda: image.open("rb"), spoil)
        assert str(told.value) == f"host hv1: {image} cannot be sent there any more: it was changed while it was read"
        assert "plan again" in told.value.hint
        image.write_bytes(NOISE)
        assert 0 < (await host.stage_image(OWNER, digest, SIZE, lambda: image.open("rb")) or 0) < 0.8 * SIZE

    over(environment(tmp_path / "bin", 8e6), root, act)
    assert (Path(root) / "images" / digest).read_bytes() == NOISE
