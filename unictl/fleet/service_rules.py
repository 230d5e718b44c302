"""Rules within one service, image or secret: keys that contradict each other. Pure."""

from collections.abc import Iterator

from unictl.diagnostics.finding import Finding
from unictl.diagnostics.place import Path
from unictl.fleet.model import Fleet, Image, Order, Service
from unictl.fleet.quantities import duration_text


def updates(fleet: Fleet) -> Iterator[Finding]:
    """A replacement can begin, and can end."""
    for service in fleet.services.values():
        path: Path = ("services", service.name, "update")
        update = service.update
        if update.max_parallel.number == 0:
            text = "`max_parallel`: with 0 nothing could ever be replaced"
            yield Finding(path=(*path, "max_parallel"), code="max-parallel", text=text, hint="1 is the least.")
        if update.order is Order.CREATE_FIRST and service.volumes:
            text = f"{service.name!r} has volumes: old and new instance cannot hold them at the same time"
            hint = "Take stop-first, or leave `order` away."
            relies: tuple[Path, ...] = (("services", service.name, "volumes"),)
            yield Finding(path=(*path, "order"), code="create-first", text=text, hint=hint, relies=relies)
        yield from _floor(service, path)
        yield from _deadline(service, path)


def stops_first(service: Service) -> bool:
    """Whether old instances certainly stop before new ones start."""
    return service.update.order is Order.STOP_FIRST or bool(service.volumes)


def _floor(service: Service, path: Path) -> Iterator[Finding]:
    floor = service.update.min_available
    if floor is None or not service.replicas:
        return
    wanted = floor.of(service.replicas, up=True)
    relies: tuple[Path, ...] = (("services", service.name, "replicas"), (*path, "order"))
    if wanted > service.replicas:
        text = f"`min_available`: {wanted} of {service.replicas} replicas cannot be available"
        yield Finding(path=(*path, "min_available"), code="min-available", text=text, relies=relies)
    elif wanted == service.replicas and stops_first(service):
        text = "`min_available`: an instance stops before its successor starts, so fewer must be allowed for a while"
        most = "Take none" if wanted == 1 else f"Take {wanted - 1} at most"
        volumes = "volumes force stop-first" if service.volumes else "`order` is stop-first"
        yield Finding(
            path=(*path, "min_available"), code="min-available", text=text, hint=f"{most}: {volumes}.", relies=relies
        )


def _deadline(service: Service, path: Path) -> Iterator[Finding]:
    latest = max((probe.healthy_deadline for probe in service.health), default=0)
    progress = service.update.progress_deadline
    if progress <= latest:
        text = (
            f"`progress_deadline` ({duration_text(progress)}) does not exceed the `healthy_deadline` "
            f"of a check ({duration_text(latest)})"
        )
        hint = "A wave needs longer than the slowest of its instances: raise it, or lower the other."
        relies: tuple[Path, ...] = (("services", service.name, "health"),)
        yield Finding(path=(*path, "progress_deadline"), code="deadline", text=text, hint=hint, relies=relies)


def activations(fleet: Fleet) -> Iterator[Finding]:
    """What starts on request is one instance without data, and somebody can ask for it."""
    for service in fleet.services.values():
        if service.activation is None:
            continue
        path: Path = ("services", service.name)
        if service.kind == "job":
            yield _on_request((*path, "kind"), "a job runs by itself: nobody asks for it")
        if service.replicas > 1:
            yield _on_request((*path, "replicas"), "what starts on request is one instance")
        if service.volumes:
            yield _on_request((*path, "volumes"), "what starts on request has no volumes", about_key=True)
        if not service.ports:
            at: Path = (*path, "activation")
            yield _on_request(at, "without `ports` nothing could ask for it", relies=((*path, "ports"),))


def _on_request(path: Path, text: str, *, about_key: bool = False, relies: tuple[Path, ...] = ()) -> Finding:
    relies = (*relies, (*path[:2], "activation"))
    hint = "Change it, or take `activation: always`."
    return Finding(path=path, code="on-request", text=text, hint=hint, about_key=about_key, relies=relies)


def jobs(fleet: Fleet) -> Iterator[Finding]:
    """A job ends: nobody can depend on its being there."""
    for service in fleet.services.values():
        if service.kind != "job":
            continue
        meaningless = {
            "publish": (service.publish, "a job never joins the ingress"),
            "health": (service.health, "a job is healthy when it ends clean"),
            "restart": (service.restart == "always", "a job that ends clean is not started again"),
        }
        for key, (is_set, why) in meaningless.items():
            if is_set:
                path: Path = ("services", service.name, key)
                relies: tuple[Path, ...] = (("services", service.name, "kind"),)
                text = f"`{key}`: {why}"
                hint = "Take it away, or take `kind: service`."
                yield Finding(path=path, code="job", text=text, hint=hint, about_key=True, relies=relies)


def images(fleet: Fleet) -> Iterator[Finding]:
    """An image comes from files or from a registry, and what comes from afar has a digest."""
    for image in fleet.images.values():
        path: Path = ("images", image.name)
        yield from _made_of(image, path)
        for key in ("kernel", "initrd", "disk"):
            source = getattr(image, key)
            if source and source.url and not source.sha256:
                text = f"`{key}`: what comes from a URL needs its `sha256`"
                hint = "Add `sha256:` with the digest of the file."
                relies = ((*path, "sha256"), (*path, key))
                yield Finding(path=(*path, key), code="no-digest", text=text, hint=hint, relies=relies)


def _made_of(image: Image, path: Path) -> Iterator[Finding]:
    files = [key for key in ("kernel", "initrd", "disk") if getattr(image, key)]
    every = tuple((*path, key) for key in ("kernel", "initrd", "disk", "oci"))
    if image.oci and files:
        text = f"the image {image.name!r} is made of `oci` and `{files[0]}`"
        yield Finding(path=(*path, files[0]), code="image-files", text=text, hint="Keep one of them.", about_key=True)
    elif not image.oci and not {"kernel", "disk"} & {*files}:
        text = f"the image {image.name!r} has nothing to boot from"
        yield Finding(
            path=(*path, "kernel"),
            code="image-files",
            text=text,
            hint="Add `kernel`, `disk` or `oci`.",
            about_key=True,
            relies=every,
        )
    if image.oci and image.build:
        text = f"the image {image.name!r} is built, and comes from a registry"
        yield Finding(path=(*path, "build"), code="image-files", text=text, hint="Keep one of them.", about_key=True)


def secrets(fleet: Fleet) -> Iterator[Finding]:
    """A secret comes from one place."""
    for secret in fleet.secrets.values():
        path: Path = ("secrets", secret.name)
        given = [key for key in ("env", "file", "command") if getattr(secret, key)]
        relies: tuple[Path, ...] = tuple((*path, key) for key in ("env", "file", "command"))
        if not given:
            text = f"the secret {secret.name!r} does not say where its value is"
            hint = "Add `env`, `file` or `command`."
            yield Finding(
                path=(*path, "env"), code="secret-source", text=text, hint=hint, about_key=True, relies=relies
            )
        for key in given[1:]:
            text = f"the secret {secret.name!r} has two sources, `{given[0]}` and `{key}`"
            related: Path = (*path, given[0])
            hint = "Keep one of them."
            yield Finding(
                path=(*path, key), code="secret-source", text=text, hint=hint, about_key=True, related=(related,)
            )
