"""Copies images from hosts into the local image store, from which they are sent to other hosts."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unictl.diagnostics.failure import Failure
from unictl.execution.surveys import Connector
from unictl.fleet.model import Host
from unictl.hosts.connection import HostConnection
from unictl.images.local_store import LocalStore, file_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteImage:
    """An image, ``size`` bytes of it, and a host that has it."""

    host: Host
    digest: str
    size: int


def relay_images(
    images: Sequence[RemoteImage], connect: Connector, owner: str, store: LocalStore
) -> Mapping[str, Path | Failure]:
    """Digest -> the file in the local store; or the Failure, where the host does not answer, has it no more, or has
    other bytes. All hosts at once, each over one connection."""
    images_by_host: dict[str, list[RemoteImage]] = {}
    for image in images:
        images_by_host.setdefault(image.host.name, []).append(image)
    outcomes: dict[str, Path | Failure] = {}

    async def relay_all() -> None:
        await asyncio.gather(
            *(_relay_from_host(host_images, connect, owner, store, outcomes) for host_images in images_by_host.values())
        )

    if images_by_host:
        asyncio.run(relay_all())
    return outcomes


async def _relay_from_host(
    host_images: Sequence[RemoteImage],
    connect: Connector,
    owner: str,
    store: LocalStore,
    outcomes: dict[str, Path | Failure],
) -> None:
    """What one host has."""
    try:
        connection = await connect(host_images[0].host)
    except Failure as failure:
        outcomes.update({image.digest: failure for image in host_images})
        return
    try:
        for image in host_images:
            try:
                outcomes[image.digest] = await _relay_image(image, connection, owner, store)
            except Failure as failure:
                outcomes[image.digest] = failure
    finally:
        await connection.close()


async def _relay_image(image: RemoteImage, connection: HostConnection, owner: str, store: LocalStore) -> Path:
    digest, size = image.digest, image.size
    try:
        with store.open_partial(digest) as file:
            if (stored := store.find(digest)) is not None:
                return stored
            received = min(file.seek(0, 2), size)
            file.truncate(received)
            await connection.read_image(owner, digest, received, size, file.write)
            file.flush()
            if file_sha256(Path(file.name)) == digest:
                return store.adopt(digest)
            file.truncate(0)
    except OSError as error:
        raise Failure(f"{store.folder}: {error.strerror}", hint="free some space") from error
    text = f"what {image.host.name} gave as image {digest[:12]} is not it"
    raise Failure(text, hint="run the same command again")
