"""A spec's fingerprint, a launch's generation, and what differs between two specs. Pure.

A fingerprint names the scheme it was made under. A live instance is compared under its own record's scheme, so that
a newer scheme replaces nothing. The functions of a scheme never change once released: tests/instances holds them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256

from unictl.fleet.quantities import format_duration, format_memory
from unictl.instances.desired.spec import DEFAULTS, NETWORK_DEFAULTS
from unictl.instances.launch_record import LaunchSpec

SCHEME = "1"

_FORMATTERS: Mapping[str, Callable[[int], str]] = {
    "memory": format_memory,
    "activation.on_request.idle": format_duration,
    "activation.on_request.start_timeout": format_duration,
}


def canonical_bytes(spec: Mapping[str, object]) -> bytes:
    """The one JSON form of a spec: keys sorted, no spaces, ASCII."""
    return json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def fingerprint(spec: Mapping[str, object], scheme: str = SCHEME) -> str:
    """``1:<sha256 hex>``; ValueError for a scheme this unictl does not know."""
    digest = _SCHEMES.get(scheme)
    if digest is None:
        schemes = ", ".join(_SCHEMES)
        raise ValueError(f"fingerprint scheme {scheme} is of a newer unictl (this one knows {schemes}): upgrade unictl")
    return f"{scheme}:{digest(spec)}"


def matches_fingerprint(spec: Mapping[str, object], recorded: str) -> bool:
    """Whether ``spec`` is what a record's fingerprint stands for, under the record's scheme. ValueError as above."""
    return fingerprint(spec, recorded.partition(":")[0]) == recorded


def generation(fingerprint: str, launch: int) -> str:
    """Which one it is: 8 hex digits of fingerprint and launch number."""
    return sha256(f"{fingerprint}\n{launch}".encode()).hexdigest()[:8]


def field_differences(
    old_spec: LaunchSpec | None, new_spec: LaunchSpec | None
) -> tuple[tuple[str, object, object], ...]:
    """(path, old, new) for each leaf that differs, by path: ``args[0]``, ``memory``, ``image.kernel``.

    A field at its default stands in no spec, and is named with its default; None is a field that one side lacks.
    Amounts are as people write them. Nothing where a spec is not known at all.
    """
    if old_spec is None or new_spec is None:
        return ()
    old, new = dict(_leaves(_with_defaults(old_spec))), dict(_leaves(_with_defaults(new_spec)))
    paths = sorted((path for path in {**old, **new} if old.get(path) != new.get(path)), key=_reading_order)
    return tuple((path, _format_value(path, old.get(path)), _format_value(path, new.get(path))) for path in paths)


def _with_defaults(spec: LaunchSpec) -> dict[str, object]:
    networks = spec.get("network", DEFAULTS["network"])
    return {**DEFAULTS, **spec, "network": [{**NETWORK_DEFAULTS, **network} for network in networks]}


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def _reading_order(path: str) -> tuple[tuple[int, str], ...]:
    """Paths in reading order: ``args[2]`` before ``args[10]``."""
    words = path.replace("]", "").replace("[", ".").split(".")
    return tuple((int(word), "") if word.isdecimal() and word.isascii() else (-1, word) for word in words)


def _format_value(path: str, value: object) -> object:
    text = _FORMATTERS.get(path)
    return text(value) if text and isinstance(value, int) else value


def _scheme_1(spec: Mapping[str, object]) -> str:
    return sha256(canonical_bytes(spec)).hexdigest()


_SCHEMES: Mapping[str, Callable[[Mapping[str, object]], str]] = {"1": _scheme_1}
