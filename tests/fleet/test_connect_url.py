"""How hosts are reached."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unictl.fleet.connect_url import format_connection_url, parse_connection_url
from unictl.fleet.model import ConnectionAddress

words = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}", fullmatch=True)
ssh = st.builds(
    ConnectionAddress,
    kind=st.just("ssh"),
    host=words | st.sampled_from(["fe80::1", "::1"]),
    user=st.just("") | words,
    port=st.none() | st.integers(1, 65535),
)


@given(ssh | st.just(ConnectionAddress()))
def test_a_connection_is_written_as_it_is_read(connect: ConnectionAddress) -> None:
    assert parse_connection_url(format_connection_url(connect)) == connect


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh://",
        "ssh://-oProxyCommand=x",
        "ssh://-u@host",
        "ssh://user@-host",
        "ssh://a:b@host",
        "ssh://host/path",
        "ssh://host:0",
        "ssh://host:65536",
        "ssh://ho st",
        "ssh://host\n",
        "host",
        "local ",
    ],
)
def test_what_is_no_connection_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no way to a host|no possible port"):
        parse_connection_url(text)


@given(st.text(max_size=20))
def test_nothing_that_looks_like_an_option_ever_gets_through(text: str) -> None:
    try:
        connect = parse_connection_url(f"ssh://{text}")
    except ValueError:
        return
    assert not connect.host.startswith("-") and not connect.user.startswith("-")
