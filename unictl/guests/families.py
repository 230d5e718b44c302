"""The table of guest families: the values that ``guest:`` in a fleet file can have."""

from collections.abc import Mapping

from unictl.guests.family import GuestFamily
from unictl.guests.linux import LINUX
from unictl.guests.plain import PLAIN
from unictl.guests.unikraft import UNIKRAFT

FAMILIES: Mapping[str, GuestFamily] = {family.name: family for family in (PLAIN, LINUX, UNIKRAFT)}
