"""Make the bytes of images available on this machine: from the fleet's folder or revision, the local store, a URL,
or another host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import Failure
from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Host, Source
from unictl.images.local_store import Store, sha256
from unictl.images.resolver import Fetch
from unictl.views.text.units import amount

if TYPE_CHECKING:
    from unictl.execution.surveys import Connect
    from unictl.journal.event import Event, Waiting
    from unictl.operations.planning.prepare import Settled
    from unictl.plan.estimates.image_sources import AtHand
    from unictl.plan.model.plan import Plan

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
    """Digest -> a file of this machine for every image that the plan brings; a Failure before a host is touched."""
    from unictl.execution.image_relay import There, relay
    from unictl.plan.model.step import Kind

    staged = {step.data["digest"]: step for step in plan.steps if step.kind is Kind.STAGE}
    rows = {digest: plan.images.get(digest, {}) for digest in staged}
    found: dict[str, Path | Failure] = {}
    elsewhere: list[There] = []
    for digest, row in rows.items():
        place = _here(digest, folder / row["path"] if row.get("path") else None, store)
        if place is not None:
            found[digest] = place
        elif row.get("host"):
            emit(_waiting(f"getting {staged[digest].subject} from {row['host']} ({amount(row['size'])})"))
            elsewhere.append(There(host=hosts[str(row["host"])], digest=digest, size=int(row["size"])))
    found.update(relay(elsewhere, connect, plan.owner, store))
    for digest in [each for each in staged if each not in found]:
        found[digest] = _from_its_source(digest, staged[digest].subject, rows[digest], store, emit)
    failures = [each for digest in staged if isinstance(each := found[digest], Failure)]
    if failures:
        problems = tuple(Diagnostic(code="image-nowhere", summary=f.summary, hint=f.hint) for f in failures)
        raise Failure("an image that is to be brought to a host cannot be had: nothing was touched", problems=problems)
    return {digest: place for digest, place in found.items() if isinstance(place, Path)}


def _from_its_source(digest: str, subject: str, row: Mapping[str, Any], store: Store, emit: Emit) -> Path | Failure:
    if not row.get("url"):
        return Failure(
            f"the bytes of {subject} ({digest[:12]}) are nowhere",
            hint="the file was changed or removed since the plan was made: build it again, or plan again",
        )
    emit(_waiting(f"fetching {subject} ({amount(row['size'])})"))
    try:
        return _fetched(Source(url=str(row["url"]), sha256=digest), store)
    except Failure as failure:
        return failure


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
