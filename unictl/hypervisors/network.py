"""What a network engine answers, and the MAC addresses of guests, which no engine decides. Pure."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unictl.guests.family import Nic
from unictl.hypervisors.launch import Forward


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestAddresses:
    """The three addresses that a guest sees on a network."""

    # Its own, with the prefix.
    address: str
    gateway: str
    dns: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Netdev:
    """What QEMU is told of the far side of a guest's NIC."""

    # The kind of its `-netdev` option.
    kind: str
    # The option's keys and values, in order.
    values: tuple[tuple[str, str], ...]
    # What follows them, as it is.
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkEngine:
    """What carries the packets of guests on networks of one mode."""

    name: str
    # The `mode:` of the networks that it serves.
    mode: str
    # (subnet, gateway, name server) -> what a guest sees; ValueError with a sentence where they do not fit.
    addresses: Callable[[str, str, str], GuestAddresses]
    # The far side of a NIC, with the ports that are forwarded to it.
    netdev: Callable[[Nic, Sequence[Forward]], Netdev]


def mac_address(owner: str, instance: str, index: int = 0) -> str:
    """The fixed MAC address of an instance's NIC ``index``: locally administered, the same for every generation.

    A new generation takes over its predecessor's address, so it must take over the MAC too: neighbours keep the pair
    in their ARP caches.
    """
    digest = hashlib.sha256(f"{owner}/{instance}/{index}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))
