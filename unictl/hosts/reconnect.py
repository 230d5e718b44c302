"""A channel to one host that reconnects once if its connection breaks.

A request is sent again only if repeating it does no harm; under a lease only if the new lease token proves that
nobody else held the lease meanwhile: tokens rise by one with every holder.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from unictl.diagnostics.failure import Failure, Unreachable
from unictl.hosts.conversation import Conversation, Event, Sink
from unictl.hosts.host import HostProblem, problem
from unictl.hosts.upload import Upload

REPEATABLE = frozenset(
    (
        *("survey", "health", "inventory"),
        *("stage", "volume", "launch", "mark", "await", "ingress", "retire", "remember", "collect"),
    )
)
"""What may be asked twice. A tail or the bytes of an image would come twice; a ledger would have two entries."""
RETAKE = 15.0
"""Seconds in which the host side of a broken line ends what it has in hand, and lets go of the lease."""


class Way:
    """Requests to one host. ``begin`` makes another conversation; ``tell`` hears what was lost and made again."""

    def __init__(
        self,
        conversation: Conversation,
        begin: Callable[[], Awaitable[Conversation]] | None = None,
        tell: Callable[[str], None] | None = None,
    ):
        self.name = conversation.name
        self.near = conversation.near
        self.mended = ""
        self._conversation = conversation
        self._begin = begin
        self._tell = tell
        self._lease: Mapping[str, Any] = {}
        self._token = 0
        self._asked_before = 0
        self._mending = asyncio.Lock()

    @property
    def round_trips(self) -> int:
        """How often something was asked; nothing else waits for an answer."""
        return self._asked_before + self._conversation.asked

    @property
    def notes(self) -> tuple[str, ...]:
        """What the way there has seen, in sentences."""
        return tuple(text for text in (self._conversation.trouble, self.mended) if text)

    async def hello(self) -> dict[str, Any]:
        """What the host side says first."""
        return await asyncio.shield(self._conversation.hello)

    async def ask(
        self,
        request: Mapping[str, Any],
        *,
        event: Event | None = None,
        upload: Callable[[], Upload] | None = None,
        sink: Sink | None = None,
    ) -> dict[str, Any]:
        """What the host answers; HostProblem where it says no, Unreachable where it is gone."""
        used = self._conversation
        try:
            reply = await used.ask(request, event=event, upload=upload() if upload else None, sink=sink)
        except Unreachable:
            if request["do"] not in REPEATABLE or not await self._made_anew(used):
                raise
            again = upload() if upload else None
            reply = await self._conversation.ask(request, event=event, upload=again, sink=sink)
        return self._answer(reply)

    async def take(self, request: Mapping[str, Any]) -> int:
        """Take the lease; its token."""
        self._token = int((await self.ask(request))["token"])
        self._lease = request
        return self._token

    async def release(self, request: Mapping[str, Any]) -> None:
        """Give the lease back."""
        self._lease = {}
        await self.ask(request)

    async def close(self) -> None:
        """End the conversation; no other takes its place."""
        self._begin = None
        await self._conversation.close()

    def _answer(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        if "problem" in reply:
            raise problem(self.name, reply["problem"])
        answer: dict[str, Any] = reply["ok"]
        return answer

    async def _made_anew(self, used: Conversation) -> bool:
        """Whether another conversation stands in the place of one whose line broke."""
        async with self._mending:
            if self._conversation is not used:
                return True
            if self._begin is None or not used.cut:
                return False
            begin, self._begin = self._begin, None
            await used.close()
            fresh = None
            try:
                fresh = await begin()
                await fresh.hello
                await self._retake(fresh)
            except Unreachable:
                # What the first one said is what happened.
                await _closed(fresh)
                return False
            except BaseException:
                await _closed(fresh)
                raise
            self._asked_before += used.asked
            self._conversation = fresh
            self.mended = f"host {self.name}: the connection was lost in the middle, and was made again"
            if self._tell:
                self._tell(self.mended)
            return True

    async def _retake(self, fresh: Conversation) -> None:
        """The lease again, and proof that it was ours all the time; HostProblem where it was not."""
        if not self._lease:
            return
        try:
            token = int(self._answer(await fresh.ask({**self._lease, "wait": RETAKE}))["token"])
        except HostProblem as failure:
            raise self._lost(failure.text) from None
        if token != self._token + 1:
            raise self._lost("somebody else held it meanwhile")
        self._token = token

    def _lost(self, why: str) -> Failure:
        text = f"the connection was lost in the middle, and with it the lease: {why}"
        return HostProblem(self.name, "lost-lease", text, "look at `unictl locks`, then run the same command again")


async def _closed(conversation: Conversation | None) -> None:
    if conversation is not None:
        await conversation.close()
