"""The canonical spec: symbolic, plain values, defaults left out."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.instances.samples import FACTS, LAW, fleet, hello, service
from unictl.fleet.model import MIB, Network, OnRequestActivation, Port, Secret, Volume
from unictl.fleet.references import Reference, Text, canonical_text, parse_text, substitute_references
from unictl.instances.desired.fingerprint import fingerprint
from unictl.instances.desired.instance import desired_instances
from unictl.instances.desired.spec import DEFAULTS, launch_spec

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
REFERENCES = st.one_of(
    st.builds(Reference, st.just("service"), st.builds("{}.{}".format, NAMES, NAMES)),
    st.builds(Reference, st.just("instance"), st.sampled_from(("name", "ordinal", "address"))),
    st.just(Reference("host", "name")),
    st.just(Reference("fleet", "name")),
    st.just(Reference("secret", "password")),
)
LITERALS = st.text(st.sampled_from('ab$ {}=\u00e9\n\\"'), max_size=8)
TEXTS = st.lists(st.one_of(LITERALS, REFERENCES), max_size=6).map(
    lambda parts: parse_text(canonical_text(substitute_references(tuple(parts), lambda _: None)))
)


def spec(**given: Any) -> dict[str, Any]:
    """The spec of one service with these keys, alone in a fleet that has what they name."""
    declared = fleet(
        service(**given),
        secrets={"password": Secret(name="password", env="P")},
        networks={"own": Network(name="own", subnet="10.30.0.0/24"), "plain": Network(name="plain")},
        volumes={"data": Volume(name="data", size=MIB)},
    )
    return launch_spec(declared, declared.services["api"], 0, FACTS)


def test_a_service_with_nothing_said_has_a_spec_of_its_image_alone() -> None:
    assert spec() == {"image": {"guest": "plain", "kernel": "ab" * 32}}


@LAW
@given(st.sets(st.sampled_from(sorted(set(DEFAULTS) - {"network", "secrets", "activation"}))))
def test_a_field_at_its_default_is_left_out(keys: set[str]) -> None:
    typed = {"args": (), "files": (), "ports": ()}
    assert spec(**{key: typed.get(key, DEFAULTS[key]) for key in keys}) == spec()


def test_a_network_at_its_defaults_is_left_out_also_where_they_are_written_out() -> None:
    assert spec(network=("user",)) == spec(network=("plain",)) == spec()
    said = fleet(service(network=("n",)), networks={"n": Network(name="n", gateway="10.0.2.2", dns="10.0.2.3")})
    assert launch_spec(said, said.services["api"], 0, FACTS) == spec()


def test_two_networks_are_both_there_even_where_both_are_plain() -> None:
    assert spec(network=("user", "own"))["network"] == [{}, {"subnet": "10.30.0.0/24"}]
    assert spec(network=("user", "plain"))["network"] == [{}, {}]


@LAW
@given(TEXTS)
def test_a_text_in_the_spec_reads_back_as_the_text(text: Text) -> None:
    named = substitute_references(text, lambda r: "shop" if r == Reference("fleet", "name") else None)
    assert parse_text(spec(args=(text,))["args"][0]) == named
    assert parse_text(spec(environment={"X": text})["environment"]["X"]) == named


@LAW
@given(st.lists(TEXTS, min_size=2, max_size=2, unique=True))
def test_two_different_texts_make_two_different_specs(texts: list[Text]) -> None:
    named = [
        substitute_references(text, lambda r: "shop" if r == Reference("fleet", "name") else None) for text in texts
    ]
    assert (spec(args=(texts[0],)) != spec(args=(texts[1],))) == (named[0] != named[1])


@LAW
@given(st.dictionaries(st.from_regex(r"[A-Z]{1,4}", fullmatch=True), TEXTS, max_size=5), st.randoms())
def test_the_order_of_keys_never_matters(environment: dict[str, Text], order: random.Random) -> None:
    ports = [Port(name=f"p{n}", number=8000 + n) for n in range(4)]
    keys, mixed = list(environment), list(ports)
    order.shuffle(keys)
    order.shuffle(mixed)
    one = spec(environment=environment, ports=tuple(ports))
    other = spec(ports=tuple(mixed), environment={key: environment[key] for key in keys})
    assert fingerprint(one) == fingerprint(other)


@LAW
@given(st.permutations(["args", "image", "memory", "ports"]))
def test_the_order_of_a_specs_own_keys_never_matters(keys: list[str]) -> None:
    whole = spec(args=(parse_text("--x"),), memory=MIB, ports=(Port(name="http", number=80),))
    assert fingerprint({key: whole[key] for key in keys}) == fingerprint(whole)


def test_references_to_hosts_and_services_stay_tokens_and_the_fleets_name_does_not() -> None:
    texts = ("${service.counter.http}", "${instance.name}-${host.name}", "${fleet.name}", "$${x}", "a$$${host.name}")
    made = spec(args=tuple(parse_text(text) for text in texts))
    assert made["args"] == [*texts[:2], "shop", *texts[3:]]


def test_a_secret_stands_as_its_name_and_version() -> None:
    made = spec(args=(parse_text("--password=${secret.password}"),))
    assert made["args"] == ["--password=${secret.password}"]
    assert made["secrets"] == {"password": 1}


def test_ports_and_activation_read_as_the_language_writes_them() -> None:
    ports = (Port(name="http", number=8080), Port(name="dns", number=53, udp=True))
    assert spec(ports=ports)["ports"] == {"http": 8080, "dns": "53/udp"}
    assert spec(activation=OnRequestActivation(idle=5000))["activation"] == {"on_request": {"idle": 5000}}
    late = spec(activation=OnRequestActivation(idle=5000, start_timeout=9000))["activation"]
    assert late == {"on_request": {"idle": 5000, "start_timeout": 9000}}


def test_replicas_have_volumes_of_their_own_and_a_single_one_has_the_volume_itself() -> None:
    volumes = {"data": Volume(name="data", size=MIB)}
    one = fleet(service(volumes={"disk": "data"}), volumes=volumes)
    three = fleet(service(volumes={"disk": "data"}, replicas=3), volumes=volumes)
    assert [w.volumes for w in desired_instances(one, FACTS)] == [{"disk": "data"}]
    assert [w.spec["volumes"] for w in desired_instances(three, FACTS)] == [{"disk": f"data-{n}"} for n in range(3)]
    assert len({w.fingerprint for w in desired_instances(three, FACTS)}) == 3


def test_wished_instances_come_by_service_then_ordinal() -> None:
    names = [w.name for w in desired_instances(fleet(service("web", replicas=11), service("api")), FACTS)]
    assert names == ["api-0", *(f"web-{n}" for n in range(11))]


def test_replicas_without_volumes_share_fingerprint_and_take_their_hypervisors_overhead() -> None:
    front = [w for w in desired_instances(hello(), FACTS) if w.service == "front"]
    assert len({w.fingerprint for w in front}) == 1
    assert all(w.overhead >= 12 * MIB and w.memory == 64 * MIB for w in front)


def test_an_image_without_facts_cannot_be_wished() -> None:
    with pytest.raises(KeyError, match="hello"):
        desired_instances(hello(), {})
