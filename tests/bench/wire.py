"""What an image costs to bring: ``python -m tests.bench.wire [FILE]``. Prints; asserts nothing.

A 40 MB image (of FILE's bytes, or of this machine's programs) and the same with 1 % of it changed in three ways: sent
to a host that is this machine, to one behind an sshd of our own on a loopback port, and over lines of known rates.
"""

import argparse
import asyncio
import hashlib
import io
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random

from tests.hosts.line import environment
from tests.hosts.sshd import SSHD, sshd
from tests.onhost.world import OWNER, World, short_folder
from unictl.fleet.model import Connect, Host
from unictl.hosts.connect import connect
from unictl.onhost import blocks

SIZE = 40_000_000
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
    connection = await connect(host, env=env)
    like = [hashlib.sha256(first).hexdigest()]
    try:
        await connection.acquire(OWNER, "shop", "5f0c2a", {"user": "bench"}, 0)
        for name, data in images.items():
            digest = hashlib.sha256(data).hexdigest()
            begin = time.monotonic()
            sent = await connection.stage(OWNER, digest, len(data), lambda data=data: io.BytesIO(data), None, like)
            took = time.monotonic() - begin
            say(
                f"  {name:28} {(sent or 0) / 1e6:7.2f} MB sent, {100 * (sent or 0) / len(data):5.1f} % of it, "
                f"{took:5.2f} s, {len(data) / took / 1e6:5.0f} MB/s"
            )
    finally:
        await connection.close()


def bench(title: str, way: Connect, env: Mapping[str, str] | None, data: bytes) -> None:
    say(title)
    folder = short_folder()
    try:
        images = {"whole": data, **changed(data)}
        asyncio.run(send(Host(name="bench", connect=way, root=folder), env, images, data))
    finally:
        World(folder).close()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default="")
    data = material(parser.parse_args().file)
    begin = time.monotonic()
    number = sum(1 for _ in blocks.cuts(data))
    say(f"{len(data) / 1e6:.0f} MB in {number} blocks, found in {time.monotonic() - begin:.2f} s on one side")
    with tempfile.TemporaryDirectory() as place:
        bench("local", Connect(), None, data)
        if SSHD:
            with sshd(Path(place)) as (port, env):
                bench("ssh over loopback", Connect(kind="ssh", host="127.0.0.1", port=port), env, data)
        for rate in LINES:
            env = environment(Path(place) / str(rate), rate)
            bench(f"a line of {rate / 1e6:g} MB/s", Connect(kind="ssh", host="bench"), env, data)


if __name__ == "__main__":
    main()
