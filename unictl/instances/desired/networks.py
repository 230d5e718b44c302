"""What a service's networks are, and the addresses a guest sees on them. Pure.

They come from the engine that serves networks of that mode. On a user network every guest has the same three; its
gateway is its host's loopback as the guest sees it.
"""

from functools import lru_cache
from ipaddress import IPv4Network

from unictl.fleet.model import Fleet, Network, Service
from unictl.hypervisors.network import GuestAddresses
from unictl.hypervisors.network_engines import ENGINES

_USER_NETWORK = Network(name="user")


def networks_of(fleet: Fleet, service: Service) -> tuple[Network, ...]:
    """The networks of a service's guests, in order; ``user`` needs no declaration. KeyError for an unknown name."""
    names = service.network or (fleet.default_network,)
    return tuple(
        _USER_NETWORK if name == "user" and name not in fleet.networks else fleet.networks[name] for name in names
    )


def default_gateway(network: Network) -> str:
    """The gateway where none is declared: the engine's own, else the first address of the subnet."""
    if network.mode in ENGINES:
        return _cached_addresses(network.mode, network.subnet, "", "").gateway
    return _first_address(network.subnet)


def default_dns(network: Network) -> str:
    """The name server where none is declared: the engine's own, else none."""
    if network.mode not in ENGINES:
        return ""
    gateway = "" if network.gateway == default_gateway(network) else network.gateway
    return _cached_addresses(network.mode, network.subnet, gateway, "").dns


def guest_addresses(network: Network) -> GuestAddresses:
    """The addresses a guest sees: its own with the prefix, gateway, name server.

    ValueError with a sentence where the subnet is too small, and for the modes that number their guests.
    """
    if network.mode not in ENGINES:
        modes = " or ".join(ENGINES)
        raise ValueError(
            f"network {network.name} is of mode {network.mode}, which is not supported yet: use mode {modes}"
        )
    return _cached_addresses(network.mode, network.subnet, network.gateway, network.dns)


@lru_cache(maxsize=1024)
def _cached_addresses(mode: str, subnet: str, gateway: str, dns: str) -> GuestAddresses:
    return ENGINES[mode].addresses(subnet, gateway, dns)


@lru_cache(maxsize=1024)
def _first_address(subnet: str) -> str:
    return str(IPv4Network(subnet, strict=False).network_address + 1)
