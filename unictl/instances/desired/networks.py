"""What a service's networks are, and the addresses a guest sees on them. Pure.

On a user network every guest has the same three addresses (``hypervisors.network``); its gateway is its host's
loopback as the guest sees it.
"""

from functools import lru_cache
from ipaddress import IPv4Network

from unictl.fleet.model import Fleet, Network, Service
from unictl.hypervisors.network import UserNetwork, user_network

_USER_NETWORK = Network(name="user")


def networks_of(fleet: Fleet, service: Service) -> tuple[Network, ...]:
    """The networks of a service's guests, in order; ``user`` needs no declaration. KeyError for an unknown name."""
    names = service.network or (fleet.default_network,)
    return tuple(
        _USER_NETWORK if name == "user" and name not in fleet.networks else fleet.networks[name] for name in names
    )


def default_gateway(network: Network) -> str:
    """The gateway where none is declared: QEMU's own on a user network, else the first address of the subnet."""
    return (
        _cached_user_network(network.subnet, "", "").gateway
        if network.mode == "user"
        else _first_address(network.subnet)
    )


def default_dns(network: Network) -> str:
    """The name server where none is declared: QEMU's own on a user network, else none."""
    if network.mode != "user":
        return ""
    gateway = "" if network.gateway == default_gateway(network) else network.gateway
    return _cached_user_network(network.subnet, gateway, "").dns


def guest_addresses(network: Network) -> UserNetwork:
    """The addresses a guest sees: its own with the prefix, gateway, name server.

    ValueError with a sentence where the subnet is too small, and for the modes that number their guests.
    """
    if network.mode != "user":
        raise ValueError(f"network {network.name} is of mode {network.mode}, which is not supported yet: use mode user")
    return _cached_user_network(network.subnet, network.gateway, network.dns)


@lru_cache(maxsize=1024)
def _cached_user_network(subnet: str, gateway: str, dns: str) -> UserNetwork:
    return user_network(subnet, gateway=gateway, dns=dns)


@lru_cache(maxsize=1024)
def _first_address(subnet: str) -> str:
    return str(IPv4Network(subnet, strict=False).network_address + 1)
