"""Rules within one service, image or secret: keys that contradict each other. Pure."""

from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import DocumentPath
from unictl.fleet.model import Fleet, Image, Order, Service
from unictl.fleet.quantities import format_duration


def check_updates(fleet: Fleet) -> Iterator[Finding]:
    """A replacement can begin, and can end."""
    for service in fleet.services.values():
        path: DocumentPath = ("services", service.name, "update")
        update = service.update
        if update.max_parallel.number == 0:
            text = "`max_parallel`: with 0 nothing could ever be replaced"
            yield Finding(path=(*path, "max_parallel"), code="max-parallel", summary=text, hint="1 is the least.")
        if update.order is Order.CREATE_FIRST and service.volumes:
            text = f"{service.name!r} has volumes: old and new instance cannot hold them at the same time"
            hint = "Take stop-first, or leave `order` away."
            relies: tuple[DocumentPath, ...] = (("services", service.name, "volumes"),)
            yield Finding(path=(*path, "order"), code="create-first", summary=text, hint=hint, depends_on=relies)
        yield from _check_min_available(service, path)
        yield from _check_progress_deadline(service, path)


def stops_first(service: Service) -> bool:
    """Whether old instances certainly stop before new ones start."""
    return service.update.order is Order.STOP_FIRST or bool(service.volumes)


def _check_min_available(service: Service, path: DocumentPath) -> Iterator[Finding]:
    floor = service.update.min_available
    if floor is None or not service.replicas:
        return
    required = floor.of(service.replicas, round_up=True)
    relies: tuple[DocumentPath, ...] = (("services", service.name, "replicas"), (*path, "order"))
    if required > service.replicas:
        text = f"`min_available`: {required} of {service.replicas} replicas cannot be available"
        yield Finding(path=(*path, "min_available"), code="min-available", summary=text, depends_on=relies)
    elif required == service.replicas and stops_first(service):
        text = "`min_available`: an instance stops before its successor starts, so fewer must be allowed for a while"
        advice = "Take none" if required == 1 else f"Take {required - 1} at most"
        volumes = "volumes force stop-first" if service.volumes else "`order` is stop-first"
        yield Finding(
            path=(*path, "min_available"),
            code="min-available",
            summary=text,
            hint=f"{advice}: {volumes}.",
            depends_on=relies,
        )


def _check_progress_deadline(service: Service, path: DocumentPath) -> Iterator[Finding]:
    latest = max((probe.healthy_deadline for probe in service.health), default=0)
    progress = service.update.progress_deadline
    if progress <= latest:
        text = (
            f"`progress_deadline` ({format_duration(progress)}) does not exceed the `healthy_deadline` "
            f"of a check ({format_duration(latest)})"
        )
        hint = "A wave needs longer than the slowest of its instances: raise it, or lower the other."
        relies: tuple[DocumentPath, ...] = (("services", service.name, "health"),)
        yield Finding(path=(*path, "progress_deadline"), code="deadline", summary=text, hint=hint, depends_on=relies)


def check_activations(fleet: Fleet) -> Iterator[Finding]:
    """What starts on request is one instance without data, and somebody can ask for it."""
    for service in fleet.services.values():
        if service.activation is None:
            continue
        path: DocumentPath = ("services", service.name)
        if service.kind == "job":
            yield _on_request_finding((*path, "kind"), "a job runs by itself: nobody asks for it")
        if service.replicas > 1:
            yield _on_request_finding((*path, "replicas"), "what starts on request is one instance")
        if service.volumes:
            yield _on_request_finding((*path, "volumes"), "what starts on request has no volumes", about_key=True)
        if not service.ports:
            activation_path: DocumentPath = (*path, "activation")
            yield _on_request_finding(
                activation_path, "without `ports` nothing could ask for it", relies=((*path, "ports"),)
            )


def _on_request_finding(
    path: DocumentPath, text: str, *, about_key: bool = False, relies: tuple[DocumentPath, ...] = ()
) -> Finding:
    relies = (*relies, (*path[:2], "activation"))
    hint = "Change it, or take `activation: always`."
    return Finding(path=path, code="on-request", summary=text, hint=hint, at_key=about_key, depends_on=relies)


def check_jobs(fleet: Fleet) -> Iterator[Finding]:
    """A job ends: nobody can depend on its being there."""
    for service in fleet.services.values():
        if service.kind != "job":
            continue
        meaningless = {
            "publish": (service.publish, "a job never joins the ingress"),
            "health": (service.health, "a job is healthy when it ends clean"),
            "restart": (service.restart == "always", "a job that ends clean is not started again"),
        }
        for key, (is_set, reason) in meaningless.items():
            if is_set:
                path: DocumentPath = ("services", service.name, key)
                relies: tuple[DocumentPath, ...] = (("services", service.name, "kind"),)
                text = f"`{key}`: {reason}"
                hint = "Take it away, or take `kind: service`."
                yield Finding(path=path, code="job", summary=text, hint=hint, at_key=True, depends_on=relies)


def check_images(fleet: Fleet) -> Iterator[Finding]:
    """An image comes from files or from a registry, and what comes from afar has a digest."""
    for image in fleet.images.values():
        path: DocumentPath = ("images", image.name)
        yield from _check_image_files(image, path)
        for key in ("kernel", "initrd", "disk"):
            source = getattr(image, key)
            if source and source.url and not source.sha256:
                text = f"`{key}`: what comes from a URL needs its `sha256`"
                hint = "Add `sha256:` with the digest of the file."
                relies = ((*path, "sha256"), (*path, key))
                yield Finding(path=(*path, key), code="no-digest", summary=text, hint=hint, depends_on=relies)


def _check_image_files(image: Image, path: DocumentPath) -> Iterator[Finding]:
    files = [key for key in ("kernel", "initrd", "disk") if getattr(image, key)]
    source_paths = tuple((*path, key) for key in ("kernel", "initrd", "disk", "oci"))
    if image.oci and files:
        text = f"the image {image.name!r} is made of `oci` and `{files[0]}`"
        yield Finding(path=(*path, files[0]), code="image-files", summary=text, hint="Keep one of them.", at_key=True)
    elif not image.oci and not {"kernel", "disk"} & {*files}:
        text = f"the image {image.name!r} has nothing to boot from"
        yield Finding(
            path=(*path, "kernel"),
            code="image-files",
            summary=text,
            hint="Add `kernel`, `disk` or `oci`.",
            at_key=True,
            depends_on=source_paths,
        )
    if image.oci and image.build:
        text = f"the image {image.name!r} is built, and comes from a registry"
        yield Finding(path=(*path, "build"), code="image-files", summary=text, hint="Keep one of them.", at_key=True)


def check_secrets(fleet: Fleet) -> Iterator[Finding]:
    """A secret comes from one place."""
    for secret in fleet.secrets.values():
        path: DocumentPath = ("secrets", secret.name)
        sources = [key for key in ("env", "file", "command") if getattr(secret, key)]
        relies: tuple[DocumentPath, ...] = tuple((*path, key) for key in ("env", "file", "command"))
        if not sources:
            text = f"the secret {secret.name!r} does not say where its value is"
            hint = "Add `env`, `file` or `command`."
            yield Finding(
                path=(*path, "env"), code="secret-source", summary=text, hint=hint, at_key=True, depends_on=relies
            )
        for key in sources[1:]:
            text = f"the secret {secret.name!r} has two sources, `{sources[0]}` and `{key}`"
            related: DocumentPath = (*path, sources[0])
            hint = "Keep one of them."
            yield Finding(
                path=(*path, key), code="secret-source", summary=text, hint=hint, at_key=True, related=(related,)
            )
