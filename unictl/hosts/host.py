"""The interface of a connected host: the requests it answers, and the failures it reports. Everything above uses
it.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, BinaryIO, ClassVar, Protocol

from unictl.diagnostics.failure import Failure, Locked, Refused

Document = Mapping[str, Any]


class HostProblem(Failure):
    """What a host could not do. ``kind`` is one of ``onhost.wire.PROBLEM_KINDS``."""

    def __init__(self, host: str, kind: str, text: str, hint: str = "", path: str = ""):
        super().__init__(f"host {host}: {text}", hint=hint)
        self.host = host
        self.kind = kind
        self.text = text
        self.path = path


class HostBusy(HostProblem, Locked):
    """Somebody else holds the lease there."""

    code: ClassVar[int] = Locked.code


class HostTaken(HostProblem, Refused):
    """A port, volume or memory is held by somebody else there."""

    code: ClassVar[int] = Refused.code


class Host(Protocol):
    """What can be asked of a host. ``owner`` is the fleet's (``Fleet.owner``), ``key`` an instance's (``api-2.7f3c``).

    Failures: Unreachable where it is silent, HostProblem where it says no. ``notes`` are sentences about the way there:
    what was lost and made again.
    """

    name: str

    @property
    def round_trips(self) -> int: ...
    @property
    def notes(self) -> Sequence[str]: ...
    async def hello(self) -> dict[str, Any]: ...
    async def survey(self, owner: str, mark: str, full: Mapping[str, str], was: str = "") -> dict[str, Any]: ...
    async def acquire(self, owner: str, mark: str, id: str, holder: Document, wait: float) -> int: ...  # noqa: A002
    async def release(self, owner: str) -> None: ...
    async def end_holder(self, owner: str, was: str = "") -> bool: ...
    async def stage(
        self,
        owner: str,
        digest: str,
        size: int,
        open_: Callable[[], BinaryIO],
        progress: Callable[[int], None] | None = None,
        like: Sequence[str] = (),
    ) -> int | None: ...
    async def read(self, owner: str, digest: str, offset: int, size: int, write: Callable[[bytes], object]) -> None: ...
    async def volume(self, owner: str, action: str, name: str, size: int = 0) -> int: ...
    async def launch(
        self, owner: str, documents: Sequence[Document], secrets: Mapping[str, str]
    ) -> list[dict[str, Any]]: ...
    async def prove(
        self,
        owner: str,
        key: str,
        probes: Sequence[Document],
        min_healthy_time: int,
        healthy_deadline: int,
        *,
        job: bool = False,
    ) -> dict[str, Any]: ...
    async def health(self, owner: str, key: str, probes: Sequence[Document]) -> dict[str, Any]: ...
    async def mark(self, owner: str, key: str, marks: Document) -> None: ...
    async def ingress(
        self,
        owner: str,
        text: str,
        hash: str,  # noqa: A002 - its name on the wire
        wait: int,
        out: Sequence[str] = (),
        leaves: bool = False,
    ) -> dict[str, Any]: ...
    async def ingress_text(self, owner: str) -> dict[str, str]: ...
    async def retire(self, owner: str, key: str, grace: int, keep: int) -> bool: ...
    def tail(
        self,
        owner: str,
        name: str = "",
        *,
        key: str = "",
        previous: bool = False,
        follow: bool = False,
        lines: int = 0,
    ) -> AsyncIterator[str]: ...
    async def ledger_append(self, owner: str, entry: Document) -> int: ...
    async def ledger_read(self, owner: str, n: int) -> list[dict[str, Any]]: ...
    async def remember(
        self, owner: str, policy: Document, hosts: Sequence[Any] | Document, fleet: Document | None = None
    ) -> None: ...
    async def collect(
        self,
        owner: str,
        *,
        images: Sequence[str] = (),
        revision: str = "",
        keep_images: int = 10,
        keep_retired: int = 5,
        end: bool = False,
    ) -> dict[str, Any]: ...
    async def inventory(self, owner: str, check: bool = False) -> dict[str, Any]: ...
    async def close(self) -> None: ...


def problem(host: str, told: Document) -> HostProblem:
    """A problem document of the host side (a reply's, or an outcome's) as a Failure."""
    kind = str(told["kind"])
    cls = {"busy": HostBusy, "taken": HostTaken}.get(kind, HostProblem)
    return cls(host, kind, str(told["text"]), str(told.get("hint", "")), str(told.get("path") or ""))
