"""Network engine ``slirp``: the user network inside QEMU's own process. Pure; needs nothing of the host.

It serves networks of mode ``user``. Guests reach out through their hypervisor's process; a port is reached from outside
where it is forwarded.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from unictl.guests.family import Nic
from unictl.hypervisors.launch import Forward
from unictl.hypervisors.network import GuestAddresses, Netdev, NetworkEngine

_GUEST_INDEX, _GATEWAY_INDEX, _DNS_INDEX = 15, 2, 3


def guest_addresses(subnet: str = "10.0.2.0/24", gateway: str = "", dns: str = "") -> GuestAddresses:
    """The addresses on user network ``subnet``: guest .15, gateway .2, resolver .3, as QEMU's own defaults are.

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
    return GuestAddresses(address=f"{guest}/{net.prefixlen}", gateway=str(host), dns=resolver)


def netdev(nic: Nic, forwards: Sequence[Forward]) -> Netdev:
    """QEMU's own network stack. DHCP begins at the guest's address, so a guest that asks gets the forwarded one."""
    guest, values = _stack_options(nic.address, nic.gateway, nic.dns)
    ports = (f"hostfwd={_forward_option(guest, forward)}" for forward in forwards)
    return Netdev(kind="user", values=values, words=("ipv6=off", "restrict=off", *ports))


@lru_cache(maxsize=1024)
def _stack_options(address: str, gateway: str, dns: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The guest's address, and what QEMU is told of the network around it: the same for all guests of one."""
    interface = IPv4Interface(address)
    values = [("net", str(interface.network)), ("host", gateway), ("dhcpstart", str(interface.ip))]
    if dns and dns != gateway and IPv4Address(dns) in interface.network:
        values.append(("dns", dns))
    return str(interface.ip), tuple(values)


def _forward_option(guest: str, forward: Forward) -> str:
    protocol = "udp" if forward.udp else "tcp"
    return f"{protocol}:{forward.bind}:{forward.host}-{guest}:{forward.guest}"


SLIRP = NetworkEngine(name="slirp", mode="user", addresses=guest_addresses, netdev=netdev)
