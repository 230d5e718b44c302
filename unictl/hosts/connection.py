"""A connected host: typed requests over one reconnecting channel, and typed replies (see ``replies``)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from unictl.hosts import replies
from unictl.hosts.conversation import ByteSink, Conversation, EventHandler
from unictl.hosts.host_failures import Document, failure_from_problem
from unictl.hosts.reconnect import ReconnectingChannel
from unictl.hosts.upload import Upload
from unictl.images.stable_reader import StableReader
from unictl.onhost.protocol import chunks, frames

if TYPE_CHECKING:
    from unictl.hosts.store_inventory import StoreInventory
    from unictl.journal.ledger_entry import LedgerEntry

BATCH_LIMIT = 768 << 10
"""Bytes of launch documents, and of the secrets they name, in one request; longer lists go in several."""


class HostConnection:
    """A connected host and what can be asked of it. Everything above uses this class.

    ``owner`` is the fleet's (``Fleet.owner``), ``key`` an instance's (``api-2.7f3c``). Raises Unreachable if the host
    is silent, HostFailure if it refuses. If the connection breaks, ``start_conversation`` starts another one (see
    ``reconnect``).
    """

    def __init__(
        self,
        conversation: Conversation,
        start_conversation: Callable[[], Awaitable[Conversation]] | None = None,
        on_reconnect: Callable[[str], None] | None = None,
    ):
        self.name = conversation.name
        self._channel = ReconnectingChannel(conversation, start_conversation, on_reconnect)
        self._former_owner = ""

    @property
    def round_trips(self) -> int:
        """How often something was asked of it; nothing else waits for an answer."""
        return self._channel.round_trips

    @property
    def notes(self) -> Sequence[str]:
        """What happened to the connection, in sentences: what was lost and made again."""
        return self._channel.notes

    async def hello(self) -> dict[str, Any]:
        """Python, user, root, boot id and clock of the host; a Problem where its store cannot be used."""
        greeting = await self._channel.hello()
        if "problem" in greeting:
            raise failure_from_problem(self.name, greeting["problem"])
        return greeting

    async def survey(
        self, owner: str, mark: str, fingerprints: Mapping[str, str], former_owner: str = ""
    ) -> dict[str, Any]:
        """Everything a plan reads; whole specs only of names whose desired fingerprint differs. No lease needed.

        ``former_owner``: the owner that the fleet was before it was renamed; what is asked from here on means that one
        too.
        """
        self._former_owner = former_owner
        return await self._request("survey", owner, mark=mark, full=dict(fingerprints))

    async def acquire_lease(self, owner: str, mark: str, fleet_id: str, holder: Document, timeout: float) -> int:
        """Take the lease, waiting so many seconds; its token. HostBusy names the holder."""
        fields = {"mark": mark, "id": fleet_id, "holder": dict(holder), "wait": timeout}
        return await self._channel.acquire_lease({"message": "lease", **self._fleet_fields(owner), **fields})

    async def release_lease(self, owner: str) -> None:
        """Give the lease back."""
        await self._channel.release_lease({"message": "release", **self._fleet_fields(owner)})

    async def end_lease_holder(self, owner: str, former_owner: str = "") -> bool:
        """End the process that holds the lease; False where nobody does."""
        self._former_owner = former_owner
        return bool((await self._request("end-holder", owner))["ended"])

    async def stage_image(
        self,
        owner: str,
        digest: str,
        size: int,
        open_image: Callable[[], BinaryIO],
        progress: Callable[[int], None] | None = None,
        similar: Sequence[str] = (),
    ) -> int | None:
        """Have an image there; the bytes that travelled, None when it was there.

        ``progress`` hears the bytes that are there so far; ``similar`` names images there that it may resemble: what
        they have in common does not travel.
        """
        on_event: EventHandler | None = (lambda event: progress(int(event["at"]))) if progress else None
        # Where no line lies between, sending is cheaper than looking for what is alike.
        similar_digests = list(similar) if size >= chunks.MIN_FILE_SIZE and not self._channel.is_local else []
        uploads: list[Upload] = []
        with open_image() as file:
            source = StableReader(file)

            def upload() -> Upload:
                uploads.append(Upload(source, self._channel.is_local))
                return uploads[-1]

            fields: dict[str, Any] = {"digest": digest, "size": size, "like": similar_digests}
            reply = await self._request("stage", owner, event=on_event, upload=upload, **fields)
        return None if reply["had"] else sum(sent_upload.sent_bytes for sent_upload in uploads)

    async def read_image(
        self, owner: str, digest: str, offset: int, size: int, write: Callable[[bytes], object]
    ) -> None:
        """Give ``write`` the bytes of an image that the host has, from ``offset`` up to its ``size``, in order."""
        for position in range(offset, size, frames.PULL_WINDOW):
            fields: dict[str, Any] = {
                "digest": digest,
                "offset": position,
                "length": min(frames.PULL_WINDOW, size - position),
            }
            await self._request("read", owner, sink=write, **fields)

    async def change_volume(self, owner: str, action: str, name: str, size: int = 0) -> int:
        """Create (or grow) or delete a volume; its size in bytes."""
        return int((await self._request("volume", owner, action=action, name=name, size=size)).get("size", 0))

    async def launch(
        self, owner: str, documents: Sequence[Document], secrets: Mapping[str, str]
    ) -> list[replies.LaunchOutcome]:
        """Start these; an outcome for each of them, in their order."""
        outcomes: list[replies.LaunchOutcome] = []
        for batch, batch_secrets in _split_batches(documents, secrets):
            reply = await self._request("launch", owner, instances=batch, secrets=batch_secrets)
            outcomes += replies.decode_launch(self.name, reply)
        return outcomes

    async def await_healthy(
        self,
        owner: str,
        key: str,
        probes: Sequence[Document],
        min_healthy_time: int,
        healthy_deadline: int,
        *,
        job: bool = False,
    ) -> replies.HealthReport:
        """Wait until it has been healthy for so long, or the deadline (ms). A job is healthy once it ended well."""
        times: dict[str, Any] = {"min_healthy_time": min_healthy_time, "healthy_deadline": healthy_deadline}
        reply = await self._request("await-healthy", owner, key=key, probes=list(probes), job=job, **times)
        return replies.decode_health(reply)

    async def check_health(self, owner: str, key: str, probes: Sequence[Document]) -> replies.HealthReport:
        """One round of checks now."""
        return replies.decode_health(await self._request("check-health", owner, key=key, probes=list(probes)))

    async def update_marks(self, owner: str, key: str, marks: Document) -> None:
        """Change what may change of an instance: ``protect``, ``commit`` (last one), ``proven`` (passed its gate),
        ``checks`` (kinds of check that its service has)."""
        await self._request("set-marks", owner, key=key, **marks)

    async def apply_ingress(
        self,
        owner: str,
        text: str,
        digest: str,
        drain_timeout: int,
        leaving_keys: Sequence[str] = (),
        only_leaves: bool = False,
    ) -> replies.IngressChange:
        """Put a configuration in force and wait so many ms for draining. Empty text: stop it.

        ``leaving_keys``: keys that are to be out of it and no more; where none of them is in it, nothing is done.
        ``only_leaves``: it only takes members away, which needs no port where it does not run.
        """
        fields: dict[str, Any] = {
            "text": text,
            "hash": digest,
            "wait": drain_timeout,
            "out": list(leaving_keys),
            "leaves": only_leaves,
        }
        return replies.decode_ingress_change(await self._request("apply-ingress", owner, **fields))

    async def ingress_config(self, owner: str) -> replies.IngressConfig:
        """The configuration in place without its servers."""
        return replies.decode_ingress_config(await self._request("ingress-config", owner))

    async def retire(self, owner: str, key: str, grace: int, keep: int) -> bool:
        """Stop an instance (``grace`` ms until SIGKILL) and move its record away; False where it was gone."""
        return bool((await self._request("retire", owner, key=key, grace=grace, keep=keep))["there"])

    async def stream_logs(
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
        fields: dict[str, Any] = {"name": name, "key": key, "previous": previous, "follow": follow, "lines": lines}
        request_task = asyncio.create_task(
            self._request("logs", owner, event=lambda event: pieces.put_nowait(event["data"]), **fields)
        )
        request_task.add_done_callback(lambda _task: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await request_task
        finally:
            request_task.cancel()

    async def append_ledger(self, owner: str, entry: "LedgerEntry") -> int:
        """Write down what was applied; the lease token it bears."""
        return int((await self._request("append-ledger", owner, entry=entry.to_json()))["token"])

    async def read_ledger(self, owner: str, limit: int) -> "list[LedgerEntry]":
        """The last n entries, oldest first; 0: all."""
        return replies.decode_ledger(await self._request("read-ledger", owner, limit=limit))

    async def record_applied(
        self, owner: str, policy: Document, hosts: Sequence[Any] | Document, fleet: Document | None = None
    ) -> None:
        """What was last applied. ``fleet``: the mark and id that it is called by from now on."""
        fields: dict[str, Any] = {"policy": policy, "hosts": hosts, **({"fleet": fleet} if fleet else {})}
        await self._request("record-applied", owner, **fields)

    async def collect_garbage(
        self,
        owner: str,
        *,
        images: Sequence[str] = (),
        revision: str = "",
        keep_images: int = 10,
        keep_retired: int = 5,
        ends_fleet: bool = False,
    ) -> replies.CollectedGarbage:
        """Remove what nobody names any more; ``ends_fleet``: everything but retired records and volumes.

        ``images`` are those of the ``revision`` that was applied: those of the last ``keep_images`` stay.
        """
        fields: dict[str, Any] = {"images": list(images), "revision": revision, "keep_images": keep_images}
        fields |= {"keep_retired": keep_retired, "end": ends_fleet}
        return replies.decode_garbage(await self._request("collect-garbage", owner, **fields))

    async def read_inventory(self, owner: str, check: bool = False) -> "StoreInventory":
        """What lies in the store. ``check``: every image is read and hashed."""
        from unictl.hosts.store_inventory import decode_inventory

        return decode_inventory(await self._request("inventory", owner, check=check))

    async def close(self) -> None:
        """End the conversation; the lease is free then."""
        await self._channel.close()

    def _fleet_fields(self, owner: str) -> dict[str, str]:
        return {"owner": owner, "was": self._former_owner} if self._former_owner else {"owner": owner}

    async def _request(
        self,
        message: str,
        owner: str,
        *,
        event: EventHandler | None = None,
        upload: Callable[[], Upload] | None = None,
        sink: ByteSink | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        return await self._channel.send_request(
            {"message": message, **self._fleet_fields(owner), **fields}, event=event, upload=upload, sink=sink
        )


def _split_batches(
    documents: Sequence[Document], secrets: Mapping[str, str]
) -> Iterator[tuple[list[Document], dict[str, str]]]:
    """The documents in order, in lists that fit a request, each with the secrets that are named in it."""
    batch: list[Document] = []
    batch_secrets: dict[str, str] = {}
    remaining_bytes = BATCH_LIMIT
    for document in documents:
        document_secrets = {name: secrets[name] for name in document["run"].get("secrets", ()) if name in secrets}
        size = len(frames.encode_json(document)) + len(frames.encode_json(document_secrets))
        if size > remaining_bytes and batch:
            yield batch, batch_secrets
            batch, batch_secrets, remaining_bytes = [], {}, BATCH_LIMIT
        batch.append(document)
        batch_secrets |= document_secrets
        remaining_bytes -= size
    if batch:
        yield batch, batch_secrets
