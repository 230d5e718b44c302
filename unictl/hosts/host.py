"""The interface of a connected host: the requests it answers, and the failures it reports. Everything above uses
it.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, BinaryIO, ClassVar, Protocol

from unictl.diagnostics.failure import Failure, Locked, Refused

Document = Mapping[str, Any]


class HostFailure(Failure):
    """What a host could not do. ``kind`` is one of ``onhost.wire.PROBLEM_KINDS``."""

    def __init__(self, host: str, kind: str, text: str, hint: str = "", path: str = ""):
        super().__init__(f"host {host}: {text}", hint=hint)
        self.host = host
        self.kind = kind
        self.text = text
        self.path = path


class HostBusyFailure(HostFailure, Locked):
    """Somebody else holds the lease there."""

    code: ClassVar[int] = Locked.code


class HostTakenFailure(HostFailure, Refused):
    """A port, volume or memory is held by somebody else there."""

    code: ClassVar[int] = Refused.code


class HostConnectionProtocol(Protocol):
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
    async def survey(
        self, owner: str, mark: str, fingerprints: Mapping[str, str], former_owner: str = ""
    ) -> dict[str, Any]: ...
    async def acquire_lease(self, owner: str, mark: str, fleet_id: str, holder: Document, timeout: float) -> int: ...
    async def release_lease(self, owner: str) -> None: ...
    async def end_lease_holder(self, owner: str, former_owner: str = "") -> bool: ...
    async def stage_image(
        self,
        owner: str,
        digest: str,
        size: int,
        open_image: Callable[[], BinaryIO],
        progress: Callable[[int], None] | None = None,
        similar: Sequence[str] = (),
    ) -> int | None: ...
    async def read_image(
        self, owner: str, digest: str, offset: int, size: int, write: Callable[[bytes], object]
    ) -> None: ...
    async def change_volume(self, owner: str, action: str, name: str, size: int = 0) -> int: ...
    async def launch(
        self, owner: str, documents: Sequence[Document], secrets: Mapping[str, str]
    ) -> list[dict[str, Any]]: ...
    async def await_healthy(
        self,
        owner: str,
        key: str,
        probes: Sequence[Document],
        min_healthy_time: int,
        healthy_deadline: int,
        *,
        job: bool = False,
    ) -> dict[str, Any]: ...
    async def check_health(self, owner: str, key: str, probes: Sequence[Document]) -> dict[str, Any]: ...
    async def update_marks(self, owner: str, key: str, marks: Document) -> None: ...
    async def apply_ingress(
        self,
        owner: str,
        text: str,
        digest: str,
        drain_timeout: int,
        leaving_keys: Sequence[str] = (),
        only_leaves: bool = False,
    ) -> dict[str, Any]: ...
    async def ingress_config(self, owner: str) -> dict[str, str]: ...
    async def retire(self, owner: str, key: str, grace: int, keep: int) -> bool: ...
    def stream_logs(
        self,
        owner: str,
        name: str = "",
        *,
        key: str = "",
        previous: bool = False,
        follow: bool = False,
        lines: int = 0,
    ) -> AsyncIterator[str]: ...
    async def append_ledger(self, owner: str, entry: Document) -> int: ...
    async def read_ledger(self, owner: str, limit: int) -> list[dict[str, Any]]: ...
    async def record_applied(
        self, owner: str, policy: Document, hosts: Sequence[Any] | Document, fleet: Document | None = None
    ) -> None: ...
    async def collect_garbage(
        self,
        owner: str,
        *,
        images: Sequence[str] = (),
        revision: str = "",
        keep_images: int = 10,
        keep_retired: int = 5,
        ends_fleet: bool = False,
    ) -> dict[str, Any]: ...
    async def read_inventory(self, owner: str, check: bool = False) -> dict[str, Any]: ...
    async def close(self) -> None: ...


def failure_from_problem(host: str, document: Document) -> HostFailure:
    """A problem document of the host side (a reply's, or an outcome's) as a Failure."""
    kind = str(document["kind"])
    failure_class = {"busy": HostBusyFailure, "taken": HostTakenFailure}.get(kind, HostFailure)
    return failure_class(
        host, kind, str(document["text"]), str(document.get("hint", "")), str(document.get("path") or "")
    )
