"""Copies images from hosts into the local image store, from which they are sent to other hosts."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unictl.diagnostics.failure import Failure
from unictl.execution.surveys import Connect
from unictl.fleet.model import Host
from unictl.hosts.host import Host as Connection
from unictl.images.local_store import Store, sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """An image, ``size`` bytes of it, and a host that has it."""

    host: Host
    digest: str
    size: int


def relay(wanted: Sequence[There], connect: Connect, owner: str, store: Store) -> Mapping[str, Path | Failure]:
    """Digest -> the file in the local store; or the Failure, where the host does not answer, has it no more, or has
    other bytes. All hosts at once, each over one connection."""
    hosts: dict[str, list[There]] = {}
    for each in wanted:
        hosts.setdefault(each.host.name, []).append(each)
    found: dict[str, Path | Failure] = {}

    async def all_of_them() -> None:
        await asyncio.gather(*(_from(those, connect, owner, store, found) for those in hosts.values()))

    if hosts:
        asyncio.run(all_of_them())
    return found


async def _from(
    those: Sequence[There], connect: Connect, owner: str, store: Store, found: dict[str, Path | Failure]
) -> None:
    """What one host has."""
    try:
        connection = await connect(those[0].host)
    except Failure as failure:
        found.update({each.digest: failure for each in those})
        return
    try:
        for each in those:
            try:
                found[each.digest] = await _one(each, connection, owner, store)
            except Failure as failure:
                found[each.digest] = failure
    finally:
        await connection.close()


async def _one(wanted: There, connection: Connection, owner: str, store: Store) -> Path:
    digest, size = wanted.digest, wanted.size
    try:
        with store.partial(digest) as file:
            if (known := store.find(digest)) is not None:
                return known
            have = min(file.seek(0, 2), size)
            file.truncate(have)
            await connection.read(owner, digest, have, size, file.write)
            file.flush()
            if sha256(Path(file.name)) == digest:
                return store.adopt(digest)
            file.truncate(0)
    except OSError as error:
        raise Failure(f"{store.folder}: {error.strerror}", hint="free some space") from error
    text = f"what {wanted.host.name} gave as image {digest[:12]} is not it"
    raise Failure(text, hint="run the same command again")
