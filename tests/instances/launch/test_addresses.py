"""What references mean on a host, and which ports forwards take."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.instances.samples import (
    FACTS,
    HELLO_ENDPOINTS,
    HTTP,
    LAW,
    fleet,
    hello,
    live,
    located,
    running,
    service,
    survey,
    world,
)
from unictl.fleet.model import Fleet, Host, Network, Port, Publication
from unictl.fleet.references import parse_text
from unictl.instances.desired.instance import DesiredInstance, desired_instances
from unictl.instances.launch.addresses import FORWARD_PORTS, assign_addresses, resolve_references
from unictl.instances.observed.host_state import Claim

TWO = (Host(name="hv1", address="10.9.0.1"), Host(name="hv2", address="10.9.0.2"))
PORTS = (Port(name="http", number=8080), Port(name="dns", number=53, udp=True))


def first(declared: Fleet) -> DesiredInstance:
    return desired_instances(declared, FACTS)[0]


def meant(*texts: str, network: Network | None = None) -> Any:
    """What these references mean for an only instance on hv1."""
    networks = {network.name: network} if network else {}
    names = tuple(networks)
    declared = fleet(service(args=tuple(map(parse_text, texts)), network=names), networks=networks)
    return resolve_references(declared, first(declared), "hv1", {"db.sql": 20007})


def test_a_service_is_reached_at_the_gateway_of_the_consumers_network() -> None:
    assert meant("--db=${service.db.sql}") == {"service.db.sql": "10.0.2.2:20007"}
    own = Network(name="own", subnet="192.168.7.0/24")
    assert meant("--db=${service.db.sql}", network=own) == {"service.db.sql": "192.168.7.2:20007"}
    other = Network(name="own", gateway="10.0.2.9")
    assert meant("--db=${service.db.sql}", network=other) == {"service.db.sql": "10.0.2.9:20007"}


def test_only_what_is_used_is_resolved_and_secrets_never_are() -> None:
    assert meant("--plain") == {}
    texts = ("${instance.name} ${instance.ordinal}", "${instance.address} ${host.name} ${fleet.name} ${secret.x}")
    declared = fleet(
        service(args=(parse_text(texts[0]),), environment={"X": parse_text(texts[1].replace(" ${secret.x}", ""))})
    )
    assert resolve_references(declared, first(declared), "hv1", {}) == {
        "host.name": "hv1",
        "instance.address": "10.0.2.15",
        "instance.name": "api-0",
        "instance.ordinal": "0",
    }


def test_an_endpoint_that_the_lock_lacks_is_an_error() -> None:
    declared = fleet(service(args=(parse_text("${service.db.sql}"),)))
    with pytest.raises(KeyError, match=r"db\.sql"):
        resolve_references(declared, first(declared), "hv1", {})


def test_a_mode_that_numbers_its_guests_is_said_to_be_missing() -> None:
    with pytest.raises(ValueError, match="mode bridge, which is not supported yet"):
        meant("${instance.address}", network=Network(name="own", mode="bridge"))


def test_every_port_has_a_forward_of_the_range_on_loopback_where_there_is_one_host() -> None:
    declared = fleet(service(ports=PORTS))
    forwards = located(declared, first(declared), "hv1", {}, world(declared)).forwards
    assert [(f["name"], f["guest"], f["bind"], f["udp"]) for f in forwards] == [
        ("http", 8080, "127.0.0.1", False),
        ("dns", 53, "127.0.0.1", True),
    ]
    assert all(f["host"] in FORWARD_PORTS for f in forwards)


def test_forwards_bind_to_the_hosts_address_where_others_must_reach_them() -> None:
    declared = fleet(service(ports=HTTP), hosts=TWO)
    assert located(declared, first(declared), "hv2", {}, world(declared)).forwards[0]["bind"] == "10.9.0.2"


def test_a_port_stays_the_same_from_plan_to_plan_and_differs_between_generations_and_fleets() -> None:
    declared = fleet(service(ports=HTTP))
    one = first(declared)

    def port(fleet: Fleet, launch: int) -> int:
        return int(
            assign_addresses(fleet, [(one, "hv1", launch)], world(fleet), {}, FACTS)["api-0"].forwards[0]["host"]
        )

    assert port(declared, 1) == port(declared, 1)
    assert port(declared, 1) != port(declared, 2)
    assert port(declared, 1) != port(replace(declared, id="another"), 1)


def chosen(declared: Fleet, said: Any, endpoints: Any = None) -> int:
    return int(located(declared, first(declared), "hv1", endpoints or {}, said).forwards[0]["host"])


def test_a_port_that_somebody_holds_is_passed_over() -> None:
    declared = fleet(service(ports=HTTP))
    port = chosen(declared, world(declared))
    claimed = survey("hv1", claims=(Claim(kind="port", owner="", holder="", port=port),))
    assert chosen(declared, world(declared, hv1=claimed)) == port + 1
    forward = {"name": "http", "host": port, "bind": "127.0.0.1"}
    mine = running(world(declared), live(first(declared), "hv1", name="web-0", forwards=(forward,)))
    assert chosen(declared, mine) == port + 1


def test_a_port_that_the_ingress_listens_on_is_passed_over() -> None:
    declared = fleet(service(ports=HTTP))
    port = chosen(declared, world(declared))
    assert chosen(declared, world(declared), {"db.sql": port}) == port + 1
    published = fleet(service(ports=HTTP, publish=(Publication(port=port, to="http"),)))
    assert chosen(published, world(published)) == port + 1


def test_a_host_without_a_free_port_is_said_to_have_none() -> None:
    declared = fleet(service(ports=HTTP))
    claims = tuple(Claim(kind="port", owner="", holder="", port=port) for port in FORWARD_PORTS)
    with pytest.raises(ValueError, match="hv1 has no port left between 10000 and 19999 for api-0"):
        chosen(declared, world(declared, hv1=survey("hv1", claims=claims)))


@LAW
@given(
    st.integers(1, 60),
    st.sets(st.sampled_from(FORWARD_PORTS), max_size=300),
    st.sets(st.sampled_from(FORWARD_PORTS), max_size=300),
    st.randoms(use_true_random=False),
)
def test_forwards_never_collide_and_the_order_of_instances_never_matters(
    replicas: int, claimed: set[int], forwarded: set[int], order: random.Random
) -> None:
    declared = fleet(service(ports=PORTS, replicas=replicas), service("web", ports=HTTP), hosts=TWO)
    wished = desired_instances(declared, FACTS)
    forwards = tuple({"name": "x", "host": port} for port in forwarded)
    claims = tuple(Claim(kind="port", owner="", holder="", port=port) for port in claimed)
    said = running(
        world(declared, hv1=survey("hv1", claims=claims)), live(wished[0], "hv1", name="old-0", forwards=forwards)
    )
    items = [(each, order.choice(("hv1", "hv2")), order.choice((1, 2))) for each in wished]
    found = assign_addresses(declared, items, said, {"web.http": 10_500}, FACTS)
    taken = [(each.host, f["host"]) for each in found.values() for f in each.forwards]
    assert len(set(taken)) == len(taken)
    assert not {port for host, port in taken if host == "hv1"} & (claimed | forwarded)
    assert 10_500 not in {port for _, port in taken}
    order.shuffle(items)
    assert assign_addresses(declared, items, said, {"web.http": 10_500}, FACTS) == found


@LAW
@given(st.integers(2, 20), st.randoms(use_true_random=False))
def test_many_instances_on_few_free_ports_take_just_those_in_whatever_order_they_come(
    number: int, order: random.Random
) -> None:
    free = set(FORWARD_PORTS[7 : 7 + number])
    claims = tuple(Claim(kind="port", owner="", holder="", port=port) for port in FORWARD_PORTS if port not in free)
    declared = fleet(service(ports=HTTP, replicas=number))
    items = [(each, "hv1", 1) for each in desired_instances(declared, FACTS)]
    said = world(declared, hv1=survey("hv1", claims=claims))
    found = assign_addresses(declared, items, said, {}, FACTS)
    order.shuffle(items)
    assert assign_addresses(declared, items, said, {}, FACTS) == found
    assert {each.forwards[0]["host"] for each in found.values()} == free


def test_the_hello_fleet_is_located_whole() -> None:
    declared = hello()
    items = [(each, "here", 1) for each in desired_instances(declared, FACTS)]
    found = assign_addresses(declared, items, world(declared), HELLO_ENDPOINTS, FACTS, commit="c0ffee")
    assert list(found) == ["counter-0", "front-0", "front-1", "front-2"]
    front = found["front-1"]
    assert front.resolved == {"service.counter.http": "10.0.2.2:20000"}
    assert front.key == f"front-1.{front.generation}"
    assert front.document["commit"] == "c0ffee"
