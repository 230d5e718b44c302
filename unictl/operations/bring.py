"""The bytes of images on this machine: in the fleet's folder or revision, in the local store, fetched, or relayed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import Failure, Refused
from unictl.fleet.finding import Finding
from unictl.fleet.model import Host, Source
from unictl.images.resolve import Fetch
from unictl.images.store import Store, sha256
from unictl.views.ages import amount

if TYPE_CHECKING:
    from unictl.execution.surveys import Connect
    from unictl.journal.event import Event, Waiting
    from unictl.operations.settle import Settled
    from unictl.plan.origins import AtHand
    from unictl.plan.plan import Plan

    Emit = Callable[[Event], None]


def fetcher(store: Store) -> Fetch:
    """What fetches a URL into the store while a fleet is read."""

    def fetch(source: Source) -> Path | Finding:
        # Only here: who names no URL must not pay for TLS.
        from unictl.images import https

        try:
            return https.fetch(source.url, source.sha256, store)
        except https.Unfetched as why:
            return Finding(path=(), code="image-unfetched", text=str(why), hint=why.hint)

    return fetch


def at_hand(settled: Settled, store: Store) -> AtHand:
    """What lies on this machine of all that the fleet boots from."""
    wanted = {facts.sha256 for parts in settled.facts.values() for facts in parts.values()}
    stored = {digest: {"stored": True} for digest in wanted if (store.folder / digest).is_file()}
    return {**stored, **{digest: {"path": path} for digest, path in settled.sources.items() if digest in wanted}}


def keep(plan: Plan, settled: Settled, store: Store) -> None:
    """Put what a plan brings into the store where it is only in a revision: nothing of it lies in a folder."""
    for digest in plan.images:
        path = settled.sources.get(digest)
        if path and settled.read.tree.on_disk(path) is None and store.find(digest) is None:
            store.put(digest, settled.read.tree.read(path))


def gather(
    plan: Plan, folder: Path, store: Store, connect: Connect, hosts: Mapping[str, Host], emit: Emit
) -> Mapping[str, Path]:
    """Digest -> a file of this machine for every image that the plan brings; Refused before a host is touched."""
    from unictl.execution.relay import relay
    from unictl.plan.step import Kind

    staged = {step.data["digest"]: step for step in plan.steps if step.kind is Kind.STAGE}
    found: dict[str, Path] = {}
    problems: list[Diagnostic] = []
    for digest, step in staged.items():
        row = plan.images.get(digest, {})
        place = _here(digest, folder / row["path"] if row.get("path") else None, store)
        try:
            if place is None and row.get("host"):
                emit(_waiting(f"getting {step.subject} from {row['host']} ({amount(row['size'])})"))
                host = hosts[str(row["host"])]
                place = relay(host, connect, plan.owner, digest, int(row["size"]), store)
            if place is None and row.get("url"):
                emit(_waiting(f"fetching {step.subject} ({amount(row['size'])})"))
                place = _fetched(Source(url=str(row["url"]), sha256=digest), store)
            if place is None:
                raise Failure(
                    f"the bytes of {step.subject} ({digest[:12]}) are nowhere",
                    hint="the file was changed or removed since the plan was made: build it again, or plan again",
                )
        except Failure as failure:
            problems.append(Diagnostic(code="image-nowhere", summary=failure.summary, hint=failure.hint))
            continue
        found[digest] = place
    if problems:
        raise Refused("an image that is to be brought to a host cannot be had", problems=tuple(problems))
    return found


def _here(digest: str, file: Path | None, store: Store) -> Path | None:
    """The file of the folder where it is still that image, else the store's."""
    if file is not None and file.is_file() and sha256(file) == digest:
        return file
    return store.find(digest)


def _fetched(source: Source, store: Store) -> Path:
    came = fetcher(store)(source)
    if isinstance(came, Finding):
        raise Failure(came.text, hint=came.hint)
    return came


def _waiting(text: str) -> Waiting:
    from unictl.journal.event import Waiting

    return Waiting(at=time.monotonic(), text=text)
