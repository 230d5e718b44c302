"""Names: how they are written, split and listed, and the closest match of a misspelled one. Pure."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

NAME_PATTERN = r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?"
_NAME = re.compile(NAME_PATTERN)
_ORDINAL = re.compile(r"(.+)-([0-9]+)")


def name_problem(text: str, *, service: bool = False) -> str:
    """Why ``text`` is no name; empty when it is one."""
    if not _NAME.fullmatch(text):
        return (
            f"{text!r} is no name: 1 to 40 lower-case letters, digits and '-', "
            "beginning with a letter and not ending with '-'"
        )
    if service and _ORDINAL.fullmatch(text):
        return f"{text!r} ends in a number, as instances do: a service's name may not"
    return ""


def instance_name(service: str, ordinal: int) -> str:
    """``api`` and 2 -> ``api-2``."""
    return f"{service}-{ordinal}"


def split_instance(name: str) -> tuple[str, int]:
    """``api-2`` -> (``api``, 2); ValueError where there is no ordinal."""
    match = _ORDINAL.fullmatch(name)
    if not match:
        raise ValueError(f"{name!r} is no instance: an instance is SERVICE-NUMBER, such as api-2")
    return match[1], int(match[2])


def closest_match(word: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The one of ``candidates`` that was probably meant by ``word``; empty where none is near."""
    # Sorted, so that the answer does not depend on the order in which names were declared.
    ordered = sorted(set(candidates))
    matches = get_close_matches(word.lower(), ordered, n=1, cutoff=cutoff)
    letters = sorted(word.lower())
    return matches[0] if matches else next((name for name in ordered if sorted(name) == letters), "")


def quote_key(key: str) -> str:
    """A key between marks, on one line whatever stands in it."""
    shown = key if key.isprintable() else repr(key)[1:-1]
    return f"`{shown if len(shown) <= 60 else shown[:57] + '...'}`"


def join_names(names: Iterable[str], *, limit: int = 8) -> str:
    """``a, b and c``, sorted; beyond ``limit``, how many more there are."""
    ordered = sorted(set(names))
    shown, hidden_count = ordered[:limit], len(ordered) - limit
    if hidden_count > 0:
        return f"{', '.join(shown)} and {hidden_count} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def describe_existing(names: Iterable[str]) -> str:
    """``There is a.``, ``There are a and b.``; empty of none."""
    unique_names = set(names)
    return f"There {'is' if len(unique_names) == 1 else 'are'} {join_names(unique_names)}." if unique_names else ""
