"""Fingerprints that never change by accident, generations that never meet, differences that people can read."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.instances.samples import FACTS, INITRD, KERNEL, LAW, fleet, hello, service
from unictl.fleet.model import MIB, File, Fleet, Image, Network, OnRequestActivation, Port, Secret, Volume
from unictl.fleet.references import parse_text
from unictl.instances.desired.fingerprint import (
    SCHEME,
    canonical_bytes,
    field_differences,
    fingerprint,
    generation,
    matches_fingerprint,
)
from unictl.instances.desired.instance import desired_instances
from unictl.instances.desired.spec import FleetFacts, file_key

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("fingerprints.json").read_text())
CASE_FACTS: FleetFacts = {
    **FACTS,
    "full": {"kernel": KERNEL, "initrd": INITRD, "disk": INITRD},
    file_key("a.conf"): {"content": INITRD},
}


def full() -> Fleet:
    """Every key of column F at something else than its default."""
    everything = service(
        "everything",
        image="full",
        kind="job",
        hypervisor="qemu",
        machine="q35",
        memory=96 * MIB,
        cpus=2,
        network=("back", "user"),
        args=tuple(
            map(
                parse_text,
                ("--db=${service.db.sql}", "$${HOME}", "caf\u00e9 \U0001f980", "${fleet.name}", "${host.name}"),
            )
        ),
        environment={"B": parse_text("${instance.name}"), "A": parse_text("${secret.password}")},
        files=(File(path="/etc/a.conf", source="a.conf"), File(path="/key", secret="password")),
        volumes={"storage": "orders"},
        ports=(Port(name="http", number=8080), Port(name="dns", number=53, udp=True)),
        restart="never",
        activation=OnRequestActivation(idle=60_000, start_timeout=1000),
        replicas=2,
    )
    back = Network(
        name="back",
        mode="vxlan",
        subnet="10.30.0.0/24",
        gateway="10.30.0.9",
        dns="10.30.0.8",
        bridge="b",
        vni=7,
        mtu=1400,
    )
    return fleet(
        everything,
        images={"full": Image(name="full", guest="unikraft", version="0.17")},
        networks={"back": back},
        secrets={"password": Secret(name="password", env="P", version=3)},
        volumes={"orders": Volume(name="orders", size=MIB)},
    )


def specs() -> dict[str, dict[str, Any]]:
    """The specs of the golden file, made anew."""
    made = {w.name: w for declared in (hello(), full()) for w in desired_instances(declared, CASE_FACTS)}
    return {name: dict(made[name].spec) for name in ("counter-0", "front-0", "everything-0", "everything-1")}


def test_the_golden_file_is_of_the_scheme_in_use() -> None:
    assert GOLDEN["scheme"] == SCHEME


@pytest.mark.parametrize("name", GOLDEN["cases"])
def test_a_spec_of_scheme_1_has_the_fingerprint_it_always_had(name: str) -> None:
    case = GOLDEN["cases"][name]
    assert fingerprint(case["spec"], "1") == case["fingerprint"]


@pytest.mark.parametrize("name", GOLDEN["cases"])
def test_a_fleet_has_the_spec_it_always_had(name: str) -> None:
    assert specs()[name] == GOLDEN["cases"][name]["spec"]


def test_a_generation_is_the_one_it_always_was() -> None:
    case = GOLDEN["cases"]["front-0"]
    assert {n: generation(case["fingerprint"], int(n)) for n in case["generations"]} == case["generations"]


def test_a_spec_is_compared_under_the_scheme_of_the_record() -> None:
    spec = specs()["front-0"]
    assert matches_fingerprint(spec, fingerprint(spec))
    assert not matches_fingerprint(spec, fingerprint({**spec, "cpus": 2}))


def test_a_scheme_of_a_newer_unictl_is_said_to_be_one() -> None:
    with pytest.raises(ValueError, match="scheme 9 is of a newer unictl"):
        matches_fingerprint(specs()["front-0"], "9:abc")


def test_canonical_bytes_are_plain_json() -> None:
    assert canonical_bytes({"b": 1, "a": ["\u00e9"]}) == b'{"a":["\\u00e9"],"b":1}'


@LAW
@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_two_launches_of_one_fingerprint_rarely_share_a_generation_and_one_always_does(one: int, two: int) -> None:
    assert (generation("1:x", one) == generation("1:x", two)) or one != two
    assert len(generation("1:x", one)) == 8


def test_equal_specs_differ_in_nothing() -> None:
    assert field_differences(specs()["front-0"], specs()["front-0"]) == ()


def test_differences_are_named_by_readable_paths_in_reading_order() -> None:
    old = {"image": {"kernel": "a"}, "args": [str(n) for n in range(11)], "ports": {"http": 80}}
    new = {"image": {"kernel": "b"}, "args": ["0", "1", "two", *map(str, range(3, 10)), "ten"], "ports": {"web": 80}}
    assert field_differences(old, new) == (
        ("args[2]", "2", "two"),
        ("args[10]", "10", "ten"),
        ("image.kernel", "a", "b"),
        ("ports.http", 80, None),
        ("ports.web", None, 80),
    )


def test_a_default_left_out_is_named_and_amounts_are_as_people_write_them() -> None:
    old, new = {"cpus": 2}, {"memory": 128 * MIB, "network": [{"subnet": "10.30.0.0/24"}]}
    assert field_differences(old, new) == (
        ("cpus", 2, 1),
        ("memory", "64MiB", "128MiB"),
        ("network[0].subnet", "10.0.2.0/24", "10.30.0.0/24"),
    )
    request = {"activation": {"on_request": {"idle": 60_000}}}
    assert ("activation.on_request.idle", None, "1m") in field_differences({}, request)


def test_nothing_differs_from_a_spec_that_is_not_known() -> None:
    assert field_differences(None, {"cpus": 2}) == ()


LEAVES = st.one_of(st.integers(0, 3), st.sampled_from("xyz"))
SPECS = st.fixed_dictionaries(
    {"image": st.dictionaries(st.sampled_from(("kernel", "guest")), LEAVES, max_size=2)},
    optional={
        "args": st.lists(st.sampled_from("ab"), min_size=1, max_size=3),
        "cpus": st.integers(2, 4),
        "environment": st.dictionaries(st.sampled_from("XY"), LEAVES, min_size=1, max_size=2),
    },
)


@LAW
@given(SPECS, SPECS)
def test_two_specs_have_one_fingerprint_exactly_when_no_field_differs(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert (fingerprint(one) == fingerprint(two)) == (field_differences(one, two) == ())


def test_what_hosts_are_asked_to_compare_with_stays_small_and_means_every_instance() -> None:
    from tests.plan.builders import facts, fleet, service
    from unictl.instances.desired.instance import desired_instances, requested_fingerprints

    one = fleet(service("db", volumes={"data": "orders"}, replicas=2), service("api", replicas=50))
    wished = desired_instances(one, facts(one))
    asked = requested_fingerprints(wished)
    assert set(asked) == {"api", "db-0", "db-1"}
    assert all(asked.get(each.name, asked.get(each.service)) == each.fingerprint for each in wished)
