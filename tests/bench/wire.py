"""What an image costs to bring: ``python -m tests.bench.wire [FILE]``. Prints; asserts nothing.

A 40 MB image (of FILE's bytes, or of this machine's programs) and the same with 1 % of it changed in three ways: sent
to a host that is this machine, to one behind an sshd of our own on a loopback port, over lines of known rates, and to
several hosts at once, one of which has it already.
"""

import argparse
import asyncio
import hashlib
import io
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from tests.hosts.slow_ssh import environment
from tests.hosts.sshd import SSHD, sshd
from tests.onhost.world import OWNER, World, short_folder
from unictl.fleet.model import ConnectionAddress, Host
from unictl.hosts.connector import connect_host
from unictl.onhost.protocol import chunks

SIZE = 40_000_000
SEVERAL = 4
LINES = (12.5e6, 50e6)
"""Bytes a second: 100 Mbit/s, 400 Mbit/s."""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def material(file: str) -> bytes:
    """40 MB to send: of a file, else of the largest programs here."""
    if file:
        return Path(file).read_bytes()[:SIZE]
    programs = sorted(Path("/usr/bin").iterdir(), key=lambda each: (-each.stat().st_size, each))
    data = b""
    for each in programs:
        data += each.read_bytes()
        if len(data) >= SIZE:
            break
    return data[:SIZE]


def changed(data: bytes) -> Mapping[str, bytes]:
    """The same with a hundredth of it another."""
    random, many = Random(7), len(data) // 100
    at, piece = len(data) // 3, random.randbytes(many)
    spread = bytearray(data)
    for _ in range(100):
        begin = random.randrange(len(data) - 4096)
        spread[begin : begin + 4000] = random.randbytes(4000)
    return {
        "1 % changed in one place": data[:at] + piece + data[at + many :],
        "1 % put in": data[:at] + piece + data[at:],
        "1 % changed in 100 places": bytes(spread),
    }


async def send(host: Host, env: Mapping[str, str] | None, images: Mapping[str, bytes], first: bytes) -> None:
    connection = await connect_host(host, env=env)
    like = [hashlib.sha256(first).hexdigest()]
    try:
        await connection.acquire_lease(OWNER, "shop", "5f0c2a", {"user": "bench"}, 0)
        for name, data in images.items():
            digest = hashlib.sha256(data).hexdigest()
            begin = time.monotonic()
            sent = await connection.stage_image(
                OWNER, digest, len(data), lambda data=data: io.BytesIO(data), None, like
            )
            took = time.monotonic() - begin
            say(
                f"  {name:28} {(sent or 0) / 1e6:7.2f} MB sent, {100 * (sent or 0) / len(data):5.1f} % of it, "
                f"{took:5.2f} s, {len(data) / took / 1e6:5.0f} MB/s"
            )
    finally:
        await connection.close()


def bench(title: str, way: ConnectionAddress, env: Mapping[str, str] | None, data: bytes) -> None:
    say(title)
    folder = short_folder()
    try:
        images = {"whole": data, **changed(data)}
        asyncio.run(send(Host(name="bench", connect=way, root=folder), env, images, data))
    finally:
        World(folder).close()
        shutil.rmtree(folder, ignore_errors=True)


async def spread(hosts: Sequence[Host], env: Mapping[str, str] | None, data: bytes) -> list[int]:
    """Bytes sent to each, all at once."""

    async def one(host: Host) -> int:
        connection = await connect_host(host, env=env)
        try:
            await connection.acquire_lease(OWNER, "shop", "5f0c2a", {"user": "bench"}, 0)
            digest = hashlib.sha256(data).hexdigest()
            return await connection.stage_image(OWNER, digest, len(data), lambda: io.BytesIO(data)) or 0
        finally:
            await connection.close()

    return list(await asyncio.gather(*(one(host) for host in hosts)))


def several(way: ConnectionAddress, env: Mapping[str, str] | None, data: bytes, number: int) -> None:
    """One host alone, then the others while the first has it."""
    folders = [short_folder() for _ in range(number)]
    hosts = [Host(name=f"bench{n}", connect=way, root=folder) for n, folder in enumerate(folders)]
    try:
        for those in (hosts[:1], hosts):
            begin = time.monotonic()
            sent = asyncio.run(spread(those, env, data))
            took = time.monotonic() - begin
            rate = sum(each > 0 for each in sent) * len(data) / took / 1e6
            told = ", ".join(f"{each / 1e6:.2f}" for each in sent)
            say(f"  {len(those)} at once: {told} MB sent, {took:5.2f} s, {rate:5.0f} MB/s together")
    finally:
        for folder in folders:
            World(folder).close()
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default="")
    data = material(parser.parse_args().file)
    begin = time.monotonic()
    number = sum(1 for _ in chunks.split(lambda at, length: data[at : at + length]))
    say(f"{len(data) / 1e6:.0f} MB in {number} blocks, found in {time.monotonic() - begin:.2f} s on one side")
    with tempfile.TemporaryDirectory() as place:
        bench("local", ConnectionAddress(), None, data)
        if SSHD:
            with sshd(Path(place)) as (port, env):
                way = ConnectionAddress(kind="ssh", host="127.0.0.1", port=port)
                bench("ssh over loopback", way, env, data)
                say("several hosts over ssh on loopback")
                several(way, env, data, SEVERAL)
        for rate in LINES:
            env = environment(Path(place) / str(rate), rate)
            bench(f"a line of {rate / 1e6:g} MB/s", ConnectionAddress(kind="ssh", host="bench"), env, data)
        say(f"several hosts, each behind a line of {LINES[0] / 1e6:g} MB/s")
        several(ConnectionAddress(kind="ssh", host="bench"), environment(Path(place) / "all", LINES[0]), data, SEVERAL)


if __name__ == "__main__":
    main()
