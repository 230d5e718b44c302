"""Rules across a fleet, on values; their wording is in the cases of ``declaration``."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from unictl.fleet.model import Fleet, Host, Image, Network, Publication, Service, Source
from unictl.fleet.reference_rules import check_cycles
from unictl.fleet.rules import check_fleet

HERE = Host(name="here")
IMAGE = Image(name="i", guest="plain", kernel=Source(path="k"))


def fleet(*services: Service) -> Fleet:
    return Fleet(
        name="f",
        hosts={"here": HERE},
        images={"i": IMAGE},
        networks={"user": Network(name="user")},
        services={service.name: service for service in services},
    )


def test_a_fleet_of_one_service_breaks_no_rule() -> None:
    assert check_fleet(fleet(Service(name="a", image="i", network=("user",)))) == ()


def test_an_empty_fleet_breaks_no_rule() -> None:
    assert check_fleet(Fleet(name="f")) == ()


names = [f"s{n}x" for n in range(6)]


@given(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=12))
def test_a_circle_is_told_exactly_where_there_is_one(edges: list[tuple[str, str]]) -> None:
    needs = {name: tuple(sorted({to for start, to in edges if start == name and to != name})) for name in names}
    found = list(check_cycles(fleet(*(Service(name=name, image="i", needs=needs[name]) for name in names))))
    left, before = set(names), -1
    while before != len(left):
        before = len(left)
        left = {name for name in left if any(to in left for to in needs[name])}
    assert bool(found) == bool(left)
    for finding in found:
        members = finding.summary.split(": ")[1].split(" -> ")
        assert members[0] == members[-1] and len(members) > 2
        assert all(to in needs[start] for start, to in pairwise(members))


def test_a_long_chain_is_no_circle_and_takes_no_deep_stack() -> None:
    chain = [Service(name=f"s{n}x", image="i", needs=(f"s{n + 1}x",) if n < 4999 else ()) for n in range(5000)]
    assert list(check_cycles(fleet(*chain))) == []


@given(st.permutations(names))
def test_what_is_found_does_not_depend_on_the_order_of_services(order: list[str]) -> None:
    services = {
        name: Service(
            name=name, image="x", network=("user",), needs=(names[0],), publish=(Publication(port=80, to="p"),)
        )
        for name in names
    }
    expected = {(finding.path, finding.code) for finding in check_fleet(fleet(*services.values()))}
    assert {(f.path, f.code) for f in check_fleet(fleet(*(services[name] for name in order)))} == expected
