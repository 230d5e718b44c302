"""A connected host: typed requests over one reconnecting channel. Replies are the host side's own documents."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from unictl.hosts.conversation import Conversation, Event, Sink
from unictl.hosts.host import Document, problem
from unictl.hosts.reconnect import Way
from unictl.hosts.upload import Upload
from unictl.images.stable_reader import Steady
from unictl.onhost.protocol import chunks, frames

BATCH_LIMIT = 768 << 10
"""Bytes of launch documents, and of the secrets they name, in one request; longer lists go in several."""


class RemoteHost:
    """A Host behind a conversation. ``begin`` makes another one where its line breaks (see ``way``)."""

    def __init__(
        self,
        conversation: Conversation,
        begin: Callable[[], Awaitable[Conversation]] | None = None,
        tell: Callable[[str], None] | None = None,
    ):
        self.name = conversation.name
        self._way = Way(conversation, begin, tell)
        self._was = ""

    @property
    def round_trips(self) -> int:
        """How often something was asked of it; nothing else waits for an answer."""
        return self._way.round_trips

    @property
    def notes(self) -> Sequence[str]:
        """What the way there has seen, in sentences."""
        return self._way.notes

    async def hello(self) -> dict[str, Any]:
        """Python, user, root, boot id and clock of the host; a Problem where its store cannot be used."""
        told = await self._way.hello()
        if "problem" in told:
            raise problem(self.name, told["problem"])
        return told

    async def survey(self, owner: str, mark: str, full: Mapping[str, str], was: str = "") -> dict[str, Any]:
        """Everything a plan reads; whole specs only of names whose wished fingerprint differs. No lease needed.

        ``was``: the owner that the fleet was before it was renamed; what is asked from here on means that one too.
        """
        self._was = was
        return await self._ask("survey", owner, mark=mark, full=dict(full))

    async def acquire(self, owner: str, mark: str, id: str, holder: Document, wait: float) -> int:  # noqa: A002
        """Take the lease, waiting so many seconds; its token. HostBusy names the holder."""
        asked = {"mark": mark, "id": id, "holder": dict(holder), "wait": wait}
        return await self._way.take({"do": "lease", **self._fleet(owner), **asked})

    async def release(self, owner: str) -> None:
        """Give the lease back."""
        await self._way.release({"do": "release", **self._fleet(owner)})

    async def end_holder(self, owner: str, was: str = "") -> bool:
        """End the process that holds the lease; False where nobody does."""
        self._was = was
        return bool((await self._ask("end-holder", owner))["ended"])

    async def stage(
        self,
        owner: str,
        digest: str,
        size: int,
        open_: Callable[[], BinaryIO],
        progress: Callable[[int], None] | None = None,
        like: Sequence[str] = (),
    ) -> int | None:
        """Have an image there; the bytes that travelled, None when it was there.

        ``progress`` hears the bytes that are there so far; ``like`` names images there that it may resemble: what they
        have in common does not travel.
        """
        heard: Event | None = (lambda event: progress(int(event["at"]))) if progress else None
        # Where no line lies between, sending is cheaper than looking for what is alike.
        alike = list(like) if size >= chunks.WORTH and not self._way.near else []
        uploads: list[Upload] = []
        with open_() as file:
            source = Steady(file)

            def upload() -> Upload:
                uploads.append(Upload(source, self._way.near))
                return uploads[-1]

            asked: dict[str, Any] = {"digest": digest, "size": size, "like": alike}
            reply = await self._ask("stage", owner, event=heard, upload=upload, **asked)
        return None if reply["had"] else sum(each.sent for each in uploads)

    async def read(self, owner: str, digest: str, offset: int, size: int, write: Callable[[bytes], object]) -> None:
        """Give ``write`` the bytes of an image that the host has, from ``offset`` up to its ``size``, in order."""
        for at in range(offset, size, frames.AHEAD):
            asked: dict[str, Any] = {"digest": digest, "offset": at, "length": min(frames.AHEAD, size - at)}
            await self._ask("read", owner, sink=write, **asked)

    async def volume(self, owner: str, action: str, name: str, size: int = 0) -> int:
        """Create (or grow) or delete a volume; its size in bytes."""
        return int((await self._ask("volume", owner, action=action, name=name, size=size)).get("size", 0))

    async def launch(
        self, owner: str, documents: Sequence[Document], secrets: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Start these; an outcome each {key, ok, adopted, problem?}."""
        outcomes: list[dict[str, Any]] = []
        for batch, named in _batches(documents, secrets):
            outcomes += (await self._ask("launch", owner, instances=batch, secrets=named))["outcomes"]
        return outcomes

    async def prove(
        self,
        owner: str,
        key: str,
        probes: Sequence[Document],
        min_healthy_time: int,
        healthy_deadline: int,
        *,
        job: bool = False,
    ) -> dict[str, Any]:
        """Wait until healthy for so long, or the deadline (ms): {healthy, took, why}. A job is once it ended well."""
        times: dict[str, Any] = {"min_healthy_time": min_healthy_time, "healthy_deadline": healthy_deadline}
        return await self._ask("await", owner, key=key, probes=list(probes), job=job, **times)

    async def health(self, owner: str, key: str, probes: Sequence[Document]) -> dict[str, Any]:
        """One round of checks now: {healthy, why}."""
        return await self._ask("health", owner, key=key, probes=list(probes))

    async def mark(self, owner: str, key: str, marks: Document) -> None:
        """Change what may change of an instance: ``protect``, ``commit`` (last one), ``proven`` (passed its gate),
        ``checks`` (kinds of check that its service has)."""
        await self._ask("mark", owner, key=key, **marks)

    async def ingress(
        self,
        owner: str,
        text: str,
        hash: str,  # noqa: A002 - its name on the wire
        wait: int,
        out: Sequence[str] = (),
        leaves: bool = False,
    ) -> dict[str, Any]:
        """Put a configuration in force and wait so many ms for draining: {changed, drained}. Empty text: stop it.

        ``out``: keys that are to be out of it and no more; where none of them is in it, nothing is done. ``leaves``: it
        only takes members away, which needs no port where it does not run.
        """
        return await self._ask("ingress", owner, text=text, hash=hash, wait=wait, out=list(out), leaves=leaves)

    async def ingress_text(self, owner: str) -> dict[str, str]:
        """The configuration in place without its servers: {text, hash}; both empty where there is none."""
        return await self._ask("ingress-text", owner)

    async def retire(self, owner: str, key: str, grace: int, keep: int) -> bool:
        """Stop an instance (``grace`` ms until SIGKILL) and move its record away; False where it was gone."""
        return bool((await self._ask("retire", owner, key=key, grace=grace, keep=keep))["there"])

    async def tail(
        self,
        owner: str,
        name: str = "",
        *,
        key: str = "",
        previous: bool = False,
        follow: bool = False,
        lines: int = 0,
    ) -> AsyncIterator[str]:
        """Console text of an instance by name (newest) or key, cleaned; ends at the end, or with ``follow`` when it is
        retired or the iteration is given up."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        asked: dict[str, Any] = {"name": name, "key": key, "previous": previous, "follow": follow, "lines": lines}
        asking = asyncio.create_task(
            self._ask("tail", owner, event=lambda event: pieces.put_nowait(event["data"]), **asked)
        )
        asking.add_done_callback(lambda _task: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await asking
        finally:
            asking.cancel()

    async def ledger_append(self, owner: str, entry: Document) -> int:
        """Write down what was applied; the lease token it bears."""
        return int((await self._ask("ledger", owner, append=dict(entry)))["token"])

    async def ledger_read(self, owner: str, n: int) -> list[dict[str, Any]]:
        """The last n entries, oldest first; 0: all."""
        entries: list[dict[str, Any]] = (await self._ask("ledger", owner, read=n))["entries"]
        return entries

    async def remember(
        self, owner: str, policy: Document, hosts: Sequence[Any] | Document, fleet: Document | None = None
    ) -> None:
        """What was last applied. ``fleet``: the mark and id that it is called by from now on."""
        asked: dict[str, Any] = {"policy": policy, "hosts": hosts, **({"fleet": fleet} if fleet else {})}
        await self._ask("remember", owner, **asked)

    async def collect(
        self,
        owner: str,
        *,
        images: Sequence[str] = (),
        revision: str = "",
        keep_images: int = 10,
        keep_retired: int = 5,
        end: bool = False,
    ) -> dict[str, Any]:
        """Remove what nobody names any more; ``end``: everything but retired records and volumes.

        ``images`` are those of the ``revision`` that was applied: those of the last ``keep_images`` stay.
        """
        asked: dict[str, Any] = {"images": list(images), "revision": revision, "keep_images": keep_images}
        return await self._ask("collect", owner, **asked, keep_retired=keep_retired, end=end)

    async def inventory(self, owner: str, check: bool = False) -> dict[str, Any]:
        """What lies in the store: {images, volumes, disk_free}. ``check``: every image is read and hashed."""
        return await self._ask("inventory", owner, check=check)

    async def close(self) -> None:
        """End the conversation; the lease is free then."""
        await self._way.close()

    def _fleet(self, owner: str) -> dict[str, str]:
        return {"owner": owner, "was": self._was} if self._was else {"owner": owner}

    async def _ask(
        self,
        do: str,
        owner: str,
        *,
        event: Event | None = None,
        upload: Callable[[], Upload] | None = None,
        sink: Sink | None = None,
        **rest: Any,
    ) -> dict[str, Any]:
        return await self._way.ask({"do": do, **self._fleet(owner), **rest}, event=event, upload=upload, sink=sink)


def _batches(
    documents: Sequence[Document], secrets: Mapping[str, str]
) -> Iterator[tuple[list[Document], dict[str, str]]]:
    """The documents in order, in lists that fit a request, each with the secrets that are named in it."""
    batch: list[Document] = []
    named: dict[str, str] = {}
    room = BATCH_LIMIT
    for document in documents:
        own = {name: secrets[name] for name in document["run"].get("secrets", ()) if name in secrets}
        size = len(frames.encode(document)) + len(frames.encode(own))
        if size > room and batch:
            yield batch, named
            batch, named, room = [], {}, BATCH_LIMIT
        batch.append(document)
        named |= own
        room -= size
    if batch:
        yield batch, named
