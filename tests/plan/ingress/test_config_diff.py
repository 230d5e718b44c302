"""What differs between the ingress in force and the one that is wished."""

from dataclasses import replace

import pytest

from tests.plan.builders import change, fleet, published, service
from tests.plan.worlds import applied
from unictl.fleet.model import Fleet, Probe, Update
from unictl.plan.ingress import config_diff, haproxy_config, members
from unictl.plan.model.change import Field

HTTP = Probe(kind="http", path="/healthz", port="http")
ONE = fleet(service("front", publish=published(8080), health=(HTTP,)), service("db", health=(HTTP,)))


def composed(one: Fleet) -> str:
    """The ingress of a fleet that runs."""
    return members.render_config(one.owner, applied(one).ingress["hv1"])


def told(two: Fleet) -> list[tuple[str, object, object]]:
    return [(each.path, each.old, each.new) for each in config_diff.differences(composed(ONE), composed(two))]


@pytest.mark.parametrize(
    ("two", "field", "origin"),
    [
        (
            change(ONE, "front", publish=published(9090)),
            ("front.http.published", "*:8080", "*:9090"),
            ("services", "front", "publish"),
        ),
        (
            change(ONE, "front", publish=()),
            ("front.http.published", "*:8080", None),
            ("services", "front", "publish"),
        ),
        (
            change(ONE, "db", health=(replace(HTTP, path="/a b?c"),)),
            ("db.http.health.http", "/healthz", "/a b?c"),
            ("services", "db", "health"),
        ),
        (
            change(ONE, "db", health=(replace(HTTP, interval=200),)),
            ("db.http.health.interval", "500ms", "200ms"),
            ("services", "db", "health"),
        ),
        (change(ONE, "db", update=Update(drain=60_000)), ("ingress.drain", "10s", "1m"), ()),
    ],
)
def test_what_differs_is_told_by_its_key_with_old_and_new_and_where_it_is_written(
    two: Fleet, field: tuple[str, object, object], origin: tuple[str, ...]
) -> None:
    assert told(two) == [field]
    assert config_diff.field_origin(Field(path=field[0], old=field[1], new=field[2])) == origin


def test_another_kind_of_check_is_told_whole() -> None:
    tcp = Probe(kind="tcp", send="ping\n", expect="pong", port="http")
    assert told(change(ONE, "db", health=(tcp,))) == [
        ("db.http.health.expect", None, "pong"),
        ("db.http.health.http", "/healthz", None),
        ("db.http.health.send", None, "ping\n"),
        ("db.http.mode", "http", "tcp"),
    ]


def test_what_another_unictl_writes_otherwise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    before = composed(ONE)
    monkeypatch.setattr(haproxy_config, "_DEFAULTS", haproxy_config._DEFAULTS.replace("roundrobin", "leastconn"))
    (field,) = config_diff.differences(before, composed(ONE))
    assert (field.path, field.old, field.new) == ("ingress.balance", "roundrobin", "leastconn")


def test_equal_texts_differ_in_nothing() -> None:
    assert told(ONE) == []
