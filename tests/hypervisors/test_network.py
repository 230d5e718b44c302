"""Addresses that follow from names and subnets."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unictl.hypervisors.network import mac_address
from unictl.hypervisors.slirp import guest_addresses


def test_the_default_is_qemus_own_layout() -> None:
    net = guest_addresses()
    assert (net.address, net.gateway, net.dns) == ("10.0.2.15/24", "10.0.2.2", "10.0.2.3")


@pytest.mark.parametrize(
    ("subnet", "expected"),
    [
        ("192.168.128.0/20", ("192.168.128.15/20", "192.168.128.2", "192.168.128.3")),
        ("10.0.4.0/22", ("10.0.4.15/22", "10.0.4.2", "10.0.4.3")),
        ("10.1.1.16/28", ("10.1.1.30/28", "10.1.1.18", "10.1.1.19")),
        ("10.1.1.8/29", ("10.1.1.14/29", "10.1.1.10", "10.1.1.11")),
    ],
)
def test_other_prefixes(subnet: str, expected: tuple[str, str, str]) -> None:
    net = guest_addresses(subnet)
    assert (net.address, net.gateway, net.dns) == expected


def test_a_declared_gateway_moves_the_resolver_out_of_its_way() -> None:
    net = guest_addresses("10.0.2.0/24", gateway="10.0.2.3")
    assert (net.gateway, net.dns) == ("10.0.2.3", "10.0.2.2")


@pytest.mark.parametrize(
    ("subnet", "gateway"),
    [("10.0.2.0/30", ""), ("10.0.2.0/24", "10.0.2.15"), ("10.0.2.0/24", "10.0.3.1"), ("10.0.2.0/24", "10.0.2.255")],
)
def test_what_does_not_fit_is_refused(subnet: str, gateway: str) -> None:
    with pytest.raises(ValueError, match=r"too small|does not fit"):
        guest_addresses(subnet, gateway=gateway)


@given(st.integers(8, 29), st.integers(0, 2**32 - 1))
def test_all_three_addresses_are_different_and_inside(prefix: int, start: int) -> None:
    size = 1 << (32 - prefix)
    first = start // size * size
    base = ".".join(str(first >> shift & 255) for shift in (24, 16, 8, 0))
    net = guest_addresses(f"{base}/{prefix}")
    found = {net.address.split("/")[0], net.gateway, net.dns}
    numbers = {int.from_bytes(bytes(map(int, text.split("."))), "big") - first for text in found}
    assert len(numbers) == 3
    assert all(0 < number < size - 1 for number in numbers)


@given(st.text(), st.text(), st.integers(0, 7))
def test_a_mac_is_local_unicast_and_always_the_same(owner: str, name: str, index: int) -> None:
    found = mac_address(owner, name, index)
    assert re.fullmatch("02(:[0-9a-f]{2}){5}", found)
    assert found == mac_address(owner, name, index)


def test_owners_instances_and_cards_have_macs_of_their_own() -> None:
    macs = {mac_address(owner, name, index) for owner in "ab" for name in ("x-0", "x-1") for index in (0, 1)}
    assert len(macs) == 8


def test_the_mac_of_a_name_never_changes() -> None:
    assert mac_address("hello-5f0c2a", "front-0") == "02:28:e8:79:0c:6a"
