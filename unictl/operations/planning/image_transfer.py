"""Make the bytes of images available on this machine: from the fleet's folder or revision, the local store, a URL,
or another host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from unictl.diagnostics.diagnostic import Diagnostic
from unictl.diagnostics.failure import Failure
from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Host, Source
from unictl.images.local_store import LocalStore, file_sha256
from unictl.images.resolver import Fetcher
from unictl.plan.model.image_source import ImageSource
from unictl.views.text.units import byte_size

if TYPE_CHECKING:
    from unictl.execution.surveys import Connector
    from unictl.journal.event import Event, Waiting
    from unictl.operations.planning.fleet_files import PreparedFleet
    from unictl.plan.estimates.image_sources import LocalFiles
    from unictl.plan.model.plan import Plan

    Emit = Callable[[Event], None]

_UNKNOWN_SOURCE = ImageSource(name="", part="", size=0)


def url_fetcher(store: LocalStore) -> Fetcher:
    """What fetches a URL into the store while a fleet is read."""

    def fetch(source: Source) -> Path | Finding:
        # Only here: who names no URL must not pay for TLS.
        from unictl.images import https

        try:
            return https.fetch(source.url, source.sha256, store)
        except https.FetchFailure as error:
            return Finding(path=(), code="image-unfetched", summary=str(error), hint=error.hint)

    return fetch


def available_images(prepared: PreparedFleet, store: LocalStore) -> LocalFiles:
    """What lies on this machine of all that the fleet boots from."""
    needed_digests = {facts.sha256 for parts in prepared.facts.values() for facts in parts.values()}
    stored = {digest: "" for digest in needed_digests if (store.folder / digest).is_file()}
    in_folder = {digest: path for digest, path in prepared.sources.items() if digest in needed_digests}
    return {**stored, **in_folder}


def cache_images(plan: Plan, prepared: PreparedFleet, store: LocalStore) -> None:
    """Put what a plan brings into the store where it is only in a revision: nothing of it lies in a folder."""
    for digest in plan.images:
        path = prepared.sources.get(digest)
        if path and prepared.files.tree.on_disk(path) is None and store.find(digest) is None:
            store.put(digest, prepared.files.tree.read(path))


def collect_images(
    plan: Plan, folder: Path, store: LocalStore, connect: Connector, hosts: Mapping[str, Host], emit: Emit
) -> Mapping[str, Path]:
    """Digest -> a file of this machine for every image that the plan brings; a Failure before a host is touched."""
    from unictl.execution.image_relay import RemoteImage, relay_images
    from unictl.plan.model.payloads import StageData

    stage_steps = {step.data.digest: step for step in plan.steps if isinstance(step.data, StageData)}
    sources = {digest: plan.images.get(digest, _UNKNOWN_SOURCE) for digest in stage_steps}
    results: dict[str, Path | Failure] = {}
    remote_images: list[RemoteImage] = []
    for digest, source in sources.items():
        local_file = _find_local_file(digest, folder / source.path if source.path else None, store)
        if local_file is not None:
            results[digest] = local_file
        elif source.host:
            emit(_waiting_event(f"getting {stage_steps[digest].subject} from {source.host} ({byte_size(source.size)})"))
            remote_images.append(RemoteImage(host=hosts[source.host], digest=digest, size=source.size))
    results.update(relay_images(remote_images, connect, plan.owner, store))
    for digest in [entry for entry in stage_steps if entry not in results]:
        results[digest] = _fetch_or_failure(digest, stage_steps[digest].subject, sources[digest], store, emit)
    failures = [entry for digest in stage_steps if isinstance(entry := results[digest], Failure)]
    if failures:
        problems = tuple(
            Diagnostic(code="image-nowhere", summary=failure.summary, hint=failure.hint) for failure in failures
        )
        raise Failure("an image that is to be brought to a host cannot be had: nothing was touched", problems=problems)
    return {digest: local_file for digest, local_file in results.items() if isinstance(local_file, Path)}


def _fetch_or_failure(digest: str, subject: str, source: ImageSource, store: LocalStore, emit: Emit) -> Path | Failure:
    if not source.url:
        return Failure(
            f"the bytes of {subject} ({digest[:12]}) are nowhere",
            hint="the file was changed or removed since the plan was made: build it again, or plan again",
        )
    emit(_waiting_event(f"fetching {subject} ({byte_size(source.size)})"))
    try:
        return _fetch_file(Source(url=source.url, sha256=digest), store)
    except Failure as failure:
        return failure


def _find_local_file(digest: str, file: Path | None, store: LocalStore) -> Path | None:
    """The file of the folder where it is still that image, else the store's."""
    if file is not None and file.is_file() and file_sha256(file) == digest:
        return file
    return store.find(digest)


def _fetch_file(source: Source, store: LocalStore) -> Path:
    fetched = url_fetcher(store)(source)
    if isinstance(fetched, Finding):
        raise Failure(fetched.summary, hint=fetched.hint)
    return fetched


def _waiting_event(text: str) -> Waiting:
    from unictl.journal.event import Waiting

    return Waiting(at=time.monotonic(), text=text)
