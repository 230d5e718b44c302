"""A channel to one host that reconnects once if its connection breaks.

A request is sent again only if repeating it does no harm; under a lease only if the new lease token proves that
nobody else held the lease meanwhile: tokens rise by one with every holder.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from unictl.diagnostics.failure import Failure, Unreachable
from unictl.hosts.conversation import ByteSink, Conversation, EventHandler
from unictl.hosts.host_failures import HostFailure, failure_from_problem
from unictl.hosts.upload import Upload
from unictl.onhost.protocol.messages import MESSAGES

REACQUIRE_TIMEOUT = 15.0
"""Seconds in which the host side of a broken line ends what it has in hand, and lets go of the lease."""


class ReconnectingChannel:
    """Requests to one host. ``begin`` makes another conversation; ``tell`` hears what was lost and made again."""

    def __init__(
        self,
        conversation: Conversation,
        start_conversation: Callable[[], Awaitable[Conversation]] | None = None,
        on_reconnect: Callable[[str], None] | None = None,
    ):
        self.name = conversation.name
        self.is_local = conversation.is_local
        self.reconnected = ""
        self._conversation = conversation
        self._start_conversation = start_conversation
        self._on_reconnect = on_reconnect
        self._lease: Mapping[str, Any] = {}
        self._token = 0
        self._earlier_requests = 0
        self._reconnect_lock = asyncio.Lock()

    @property
    def round_trips(self) -> int:
        """How often something was asked; nothing else waits for an answer."""
        return self._earlier_requests + self._conversation.request_count

    @property
    def notes(self) -> tuple[str, ...]:
        """What the way there has seen, in sentences."""
        return tuple(text for text in (self._conversation.connect_trouble, self.reconnected) if text)

    async def hello(self) -> dict[str, Any]:
        """What the host side says first."""
        return await asyncio.shield(self._conversation.hello)

    async def send_request(
        self,
        request: Mapping[str, Any],
        *,
        event: EventHandler | None = None,
        upload: Callable[[], Upload] | None = None,
        sink: ByteSink | None = None,
    ) -> dict[str, Any]:
        """What the host answers; HostFailure where it says no, Unreachable where it is gone."""
        first_conversation = self._conversation
        try:
            reply = await first_conversation.send_request(
                request, event=event, upload=upload() if upload else None, sink=sink
            )
        except Unreachable:
            if not MESSAGES[request["message"]].repeatable or not await self._reconnect(first_conversation):
                raise
            second_upload = upload() if upload else None
            reply = await self._conversation.send_request(request, event=event, upload=second_upload, sink=sink)
        return self._answer(reply)

    async def acquire_lease(self, request: Mapping[str, Any]) -> int:
        """Take the lease; its token."""
        self._token = int((await self.send_request(request))["token"])
        self._lease = request
        return self._token

    async def release_lease(self, request: Mapping[str, Any]) -> None:
        """Give the lease back."""
        self._lease = {}
        await self.send_request(request)

    async def close(self) -> None:
        """End the conversation; no other takes its place."""
        self._start_conversation = None
        await self._conversation.close()

    def _answer(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        if "problem" in reply:
            raise failure_from_problem(self.name, reply["problem"])
        answer: dict[str, Any] = reply["ok"]
        return answer

    async def _reconnect(self, broken: Conversation) -> bool:
        """Whether another conversation stands in the place of one whose line broke."""
        async with self._reconnect_lock:
            if self._conversation is not broken:
                return True
            if self._start_conversation is None or not broken.was_cut:
                return False
            start_conversation, self._start_conversation = self._start_conversation, None
            await broken.close()
            replacement = None
            try:
                replacement = await start_conversation()
                await replacement.hello
                await self._reacquire_lease(replacement)
            except Unreachable:
                # What the first one said is what happened.
                await _close_conversation(replacement)
                return False
            except BaseException:
                await _close_conversation(replacement)
                raise
            self._earlier_requests += broken.request_count
            self._conversation = replacement
            self.reconnected = f"host {self.name}: the connection was lost in the middle, and was made again"
            if self._on_reconnect:
                self._on_reconnect(self.reconnected)
            return True

    async def _reacquire_lease(self, replacement: Conversation) -> None:
        """The lease again, and proof that it was ours all the time; HostFailure where it was not."""
        if not self._lease:
            return
        try:
            token = int(
                self._answer(await replacement.send_request({**self._lease, "wait": REACQUIRE_TIMEOUT}))["token"]
            )
        except HostFailure as failure:
            raise self._lost_lease(failure.text) from None
        if token != self._token + 1:
            raise self._lost_lease("somebody else held it meanwhile")
        self._token = token

    def _lost_lease(self, reason: str) -> Failure:
        text = f"the connection was lost in the middle, and with it the lease: {reason}"
        return HostFailure(self.name, "lost-lease", text, "look at `unictl locks`, then run the same command again")


async def _close_conversation(conversation: Conversation | None) -> None:
    if conversation is not None:
        await conversation.close()
