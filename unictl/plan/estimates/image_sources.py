"""Where the bytes of staged images come from; an image without a source is reported before anything starts. Pure.

Searched in this order: the fleet's folder (or revision), the local store, the stores of the hosts, the image's URL.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from unictl.diagnostics.finding import Finding
from unictl.plan.context.context import PlanContext
from unictl.plan.model.image_source import ImageSource
from unictl.plan.model.payloads import StageData
from unictl.plan.model.step import Step
from unictl.plan.rollout import step_factory

LocalFiles = Mapping[str, str]
"""What lies on this machine: digest -> its path in the fleet's folder, empty if only the local store has it."""


def find_sources(context: PlanContext, steps: Iterable[Step], local_files: LocalFiles | None) -> dict[str, ImageSource]:
    """By digest, every place that is known of each staged image.

    ``local_files`` None: files are taken to be there.
    """
    files = step_factory.image_files(context.facts)
    staged = sorted({step.data.digest for step in steps if isinstance(step.data, StageData)})
    return {digest: _source_of(context, digest, files[digest], local_files) for digest in staged if digest in files}


def _source_of(
    context: PlanContext, digest: str, file: step_factory.ImageFile, local_files: LocalFiles | None
) -> ImageSource:
    path, url = _declared_source(context, file)
    source = ImageSource(name=file.image, part=file.part, size=file.size, url=url)
    if local_files is None:
        return replace(source, path=path)
    if digest in local_files:
        return replace(source, path=local_files[digest], stored=not local_files[digest])
    holder = next((host for host, survey in context.surveys.items() if digest in survey.images), "")
    return replace(source, host=holder)


def _declared_source(context: PlanContext, file: step_factory.ImageFile) -> tuple[str, str]:
    """Path and URL as the fleet file has them."""
    image = context.fleet.images.get(file.image)
    source = getattr(image, file.part, None) if image else None
    if source is None:
        return file.image.removeprefix("file:") if file.image.startswith("file:") else "", ""
    return source.path, source.url


def missing_sources(sources: Mapping[str, ImageSource]) -> Iterator[Finding]:
    """What is to be brought, and nobody has."""
    for digest, source in sources.items():
        if not source.is_available:
            label = source.name.removeprefix("file:") if source.part == "content" else f"{source.name}.{source.part}"
            text = f"the bytes of {label} ({digest[:12]}) are nowhere: not in the fleet's folder, not in this machine's"
            text += " store, on no host that answered"
            path = ("images", source.name, source.part)
            hint = "build it again or get the file back: fleet.lock pins what it was"
            yield Finding(path=path, code="image-nowhere", summary=text, hint=hint)
