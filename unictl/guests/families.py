"""The table of guest families: the values that ``guest:`` in a fleet file can have, and how files are recognised."""

from collections.abc import Callable, Mapping

from unictl.guests import mirage
from unictl.guests.family import GuestFamily
from unictl.guests.image_header import ImageHeader
from unictl.guests.linux import LINUX
from unictl.guests.plain import PLAIN
from unictl.guests.unikraft import UNIKRAFT

FAMILIES: Mapping[str, GuestFamily] = {family.name: family for family in (PLAIN, LINUX, UNIKRAFT)}

ANNOUNCED: Mapping[str, Callable[[ImageHeader], bool]] = {mirage.NAME: mirage.recognise}
"""Families that cannot be run yet; their files are recognised all the same, so that none is taken for another's."""


def recognise_family(header: ImageHeader) -> str:
    """The family a file looks like; empty where it looks like none. The first that recognises it decides."""
    recognisers = {**ANNOUNCED, **{name: family.recognise for name, family in FAMILIES.items()}}
    return next((name for name, recognise in recognisers.items() if recognise(header)), "")
