"""Names: how they are written, split and listed, and the closest match of a misspelled one. Pure."""

import re
from collections.abc import Container, Iterable
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


class InstanceName(str):
    """The name of an instance, ``api-2``: its service and its ordinal. Equal to the text it is written as."""

    __slots__ = ()

    @classmethod
    def of(cls, service: str, ordinal: int) -> "InstanceName":
        """``api`` and 2 -> ``api-2``."""
        return cls(f"{service}-{ordinal}")

    @classmethod
    def parse(cls, text: str) -> "InstanceName":
        """``text`` if it names an instance; ValueError if it has no ordinal."""
        if not _ORDINAL.fullmatch(text):
            raise ValueError(f"{text!r} is no instance: an instance is SERVICE-NUMBER, such as api-2")
        return cls(text)

    @property
    def service(self) -> str:
        """The service it is a replica of: ``api``."""
        return self.rpartition("-")[0]

    @property
    def ordinal(self) -> int:
        """Which replica it is, from 0; ValueError if the text has no ordinal."""
        return int(self.rpartition("-")[2])


class InstanceKey(str):
    """One generation of an instance, ``api-2.7f3c9a1b``: its name and its generation. Equal to the text."""

    __slots__ = ()

    @classmethod
    def of(cls, name: str, generation: str) -> "InstanceKey":
        """``api-2`` and ``7f3c9a1b`` -> ``api-2.7f3c9a1b``."""
        return cls(f"{name}.{generation}")

    @property
    def name(self) -> InstanceName:
        """The instance: ``api-2``."""
        return InstanceName(self.partition(".")[0])

    @property
    def generation(self) -> str:
        """The generation, in hex: ``7f3c9a1b``."""
        return self.partition(".")[2]


def declared_volume_name(name: str, declared: Container[str]) -> str:
    """The name in the fleet file of a volume on a host: of ``orders-2``, one of a volume per replica, ``orders``."""
    return name if name in declared else InstanceName(name).service


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
