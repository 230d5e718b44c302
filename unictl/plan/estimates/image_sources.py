"""Where the bytes of staged images come from; an image without a source is reported before anything starts. Pure.

Searched in this order: the fleet's folder (or revision), the local store, the stores of the hosts, the image's URL.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from unictl.diagnostics.finding import Finding
from unictl.plan.context.context import Situation
from unictl.plan.model.step import Kind, Step
from unictl.plan.rollout import step_factory

AtHand = Mapping[str, Mapping[str, Any]]
"""Digest -> ``{path}`` in the fleet's folder or ``{stored: true}``, of what lies on this machine."""


def origins(s: Situation, steps: Iterable[Step], at_hand: AtHand | None) -> dict[str, dict[str, Any]]:
    """By digest: {name, part, size} and every place that is known. ``at_hand`` None: files are taken to be there."""
    known = step_factory.files(s.facts)
    staged = sorted({each.data["digest"] for each in steps if each.kind is Kind.STAGE})
    return {sha: _origin(s, sha, known[sha], at_hand) for sha in staged if sha in known}


def _origin(s: Situation, sha: str, file: step_factory.File, at_hand: AtHand | None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": file.image, "part": file.part, "size": file.size}
    path, url = _declared(s, file)
    row |= ({"path": path} if path else {}) if at_hand is None else at_hand.get(sha, {})
    holder = next((host for host, said in s.answered.items() if sha in said.images), "")
    if holder and at_hand is not None and sha not in at_hand:
        row["host"] = holder
    return row | ({"url": url} if url else {})


def _declared(s: Situation, file: step_factory.File) -> tuple[str, str]:
    """Path and URL as the fleet file has them."""
    image = s.fleet.images.get(file.image)
    source = getattr(image, file.part, None) if image else None
    if source is None:
        return file.image.removeprefix("file:") if file.image.startswith("file:") else "", ""
    return source.path, source.url


def missing(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """What is to be brought, and nobody has."""
    for sha, row in rows.items():
        if not {"path", "stored", "host", "url"} & set(row):
            what = row["name"].removeprefix("file:") if row["part"] == "content" else f"{row['name']}.{row['part']}"
            text = f"the bytes of {what} ({sha[:12]}) are nowhere: not in the fleet's folder, not in this machine's"
            text += " store, on no host that answered"
            path = ("images", row["name"], row["part"])
            hint = "build it again or get the file back: fleet.lock pins what it was"
            yield Finding(path=path, code="image-nowhere", text=text, hint=hint)
