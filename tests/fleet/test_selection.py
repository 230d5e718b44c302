"""Selecting by name, label and host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unictl.fleet.model import Host
from unictl.fleet.selection import parse_selector, select_hosts

HOSTS = {
    "hv1": Host(name="hv1", zone="a", labels={"disk": "nvme"}),
    "hv2": Host(name="hv2", zone="b"),
    "edge1": Host(name="edge1", labels={"edge": "yes"}),
}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["edge1", "hv1", "hv2"]),
        ("hv1", ["hv1"]),
        ("hv*", ["hv1", "hv2"]),
        ("host:hv?", ["hv1", "hv2"]),
        ("@edge", ["edge1"]),
        ("@disk=nvme, edge*", ["edge1", "hv1"]),
        ("@disk=hdd", []),
        ("@zone=b", ["hv2"]),
        ("!hv1", ["edge1", "hv2"]),
        ("hv*,!hv2", ["hv1"]),
        ("!hv*,hv1", []),
    ],
)
def test_hosts_are_selected(text: str, names: list[str]) -> None:
    assert [host.name for host in select_hosts(text, HOSTS.values())] == names


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("api", True),
        ("api-2", True),
        ("api-1", False),
        ("ap*", True),
        ("*-2", True),
        ("@tier", True),
        ("@tier=front", True),
        ("@tier=back", False),
        ("host:hv*", True),
        ("host:hv2", False),
        ("hv1", False),
        ("!api-2", False),
        ("!api-1", True),
        ("api,!host:hv1", False),
        ("web,api-2", True),
        ("", True),
    ],
)
def test_instances_are_selected(text: str, selected: bool) -> None:
    assert parse_selector(text).matches_instance("api", 2, host="hv1", labels={"tier": "front"}) == selected


def test_services_are_selected_by_name_and_label() -> None:
    assert parse_selector("ap*").matches_service("api") and parse_selector("@tier").matches_service(
        "api", {"tier": "x"}
    )
    assert not parse_selector("api-2").matches_service("api") and not parse_selector("host:hv1").matches_service("api")


@pytest.mark.parametrize("text", [",", "a,,b", "!", "@", "@=x", "host:", "a b", "A", "host:@x", "!!a", "a;b"])
def test_what_selects_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"empty part|selects nothing"):
        parse_selector(text)


@given(st.text(alphabet="a*?@!,:= -[]", max_size=10))
def test_a_selection_is_written_as_it_is_read(text: str) -> None:
    try:
        selection = parse_selector(text)
    except ValueError:
        return
    assert parse_selector(str(selection)) == selection
    assert selection.matches_host("a", {}) in (True, False)
