"""An image from a host's store into this machine's, to be brought to another host from here."""

import asyncio
from pathlib import Path

from unictl.diagnostics.failure import Failure
from unictl.execution.surveys import Connect
from unictl.fleet.model import Host
from unictl.images.store import Store, sha256


def relay(host: Host, connect: Connect, owner: str, digest: str, size: int, store: Store) -> Path:
    """The file in the local store; a Failure where the host does not answer, has it no more, or has other bytes."""
    return asyncio.run(_relay(host, connect, owner, digest, size, store))


async def _relay(host: Host, connect: Connect, owner: str, digest: str, size: int, store: Store) -> Path:
    connection = await connect(host)
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
    finally:
        await connection.close()
    raise Failure(f"what {host.name} gave as image {digest[:12]} is not it", hint="run the same command again")
