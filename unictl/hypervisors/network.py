"""Addresses that follow from names and subnets: MAC addresses, and the layout of QEMU's user network. Pure."""

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

_GUEST_INDEX, _GATEWAY_INDEX, _DNS_INDEX = 15, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class UserNetwork:
    """The three addresses of a user network: ``address`` is the guest's, with its prefix."""

    address: str
    gateway: str
    dns: str


def mac_address(owner: str, instance: str, index: int = 0) -> str:
    """The fixed MAC address of an instance's NIC ``index``: locally administered, the same for every generation.

    A new generation takes over its predecessor's address, so it must take over the MAC too: neighbours keep the pair
    in their ARP caches.
    """
    digest = hashlib.sha256(f"{owner}/{instance}/{index}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def user_network(subnet: str = "10.0.2.0/24", *, gateway: str = "", dns: str = "") -> UserNetwork:
    """The addresses on QEMU's user network ``subnet``: guest .15, gateway .2, resolver .3, as QEMU's own defaults are.

    In a subnet too small for .15 the guest has the last usable address. ValueError with a sentence where the subnet
    cannot hold three addresses, or a given one is outside.
    """
    net = IPv4Network(subnet)
    if net.num_addresses < 8:
        raise ValueError(f"{subnet} is too small for a user network: it needs a guest, a gateway and a resolver (/29)")
    guest = net[min(_GUEST_INDEX, net.num_addresses - 2)]
    host = IPv4Address(gateway) if gateway else net[_GATEWAY_INDEX]
    if host not in net or host in (guest, net.network_address, net.broadcast_address):
        raise ValueError(f"the gateway {host} does not fit into {subnet}, whose guest is {guest}")
    resolver = dns or str(net[_DNS_INDEX] if net[_DNS_INDEX] != host else net[_GATEWAY_INDEX])
    return UserNetwork(address=f"{guest}/{net.prefixlen}", gateway=str(host), dns=resolver)
