"""Replies of hosts are decoded at one edge: what callers get are values, whatever the documents say."""

from typing import Any

import pytest

from unictl.hosts import replies
from unictl.hosts.host_failures import HostFailure, HostTakenFailure
from unictl.hosts.store_inventory import decode_inventory

IMAGE: dict[str, Any] = {
    "digest": "a" * 64,
    "size": 4096,
    "used": [{"owner": "shop-5f0c2a", "key": "web-0.0123abcd"}],
    "kept": [{"owner": "depot-1f0c2b", "revision": "c0ffee", "at": 12.5}],
    "state": "whole",
}
VOLUME = {"name": "orders", "size": 8192, "allocated": 4096, "used_by": "db-0.0123abcd", "running": True}


def outcome(**fields: Any) -> dict[str, Any]:
    return {"key": "web-0.0123abcd", "ok": True, "adopted": False, **fields}


def test_an_instance_that_was_started_has_no_failure() -> None:
    started, adopted = replies.decode_launch("hv1", {"outcomes": [outcome(), outcome(adopted=True)]})
    assert (started.key, started.failure, started.adopted) == ("web-0.0123abcd", None, False)
    assert adopted.adopted


def test_the_problem_of_an_instance_is_a_failure_of_its_host() -> None:
    problem = {"kind": "taken", "text": "port 80 is taken", "hint": "choose another", "path": None}
    (refused,) = replies.decode_launch("hv1", {"outcomes": [outcome(ok=False, problem=problem)]})
    assert isinstance(refused.failure, HostTakenFailure)
    assert refused.failure.summary == "host hv1: port 80 is taken"
    assert (refused.failure.text, refused.failure.hint) == ("port 80 is taken", "choose another")


def test_a_problem_of_a_kind_without_its_own_class_is_a_plain_failure() -> None:
    problem = {"kind": "no-image", "text": "it is not here", "hint": "", "path": None}
    (refused,) = replies.decode_launch("hv1", {"outcomes": [outcome(ok=False, problem=problem)]})
    assert type(refused.failure) is HostFailure
    assert refused.failure.kind == "no-image"


@pytest.mark.parametrize(
    ("text", "reason", "console"),
    [
        ("it ended: crash, its console last said:\npanic\nhalt", "it ended: crash", "panic\nhalt"),
        ("it ended: crash, its console is empty", "it ended: crash, its console is empty", ""),
        ("tcp 80: connection refused", "tcp 80: connection refused", ""),
    ],
)
def test_why_something_is_not_healthy_and_what_it_printed_are_told_apart(text: str, reason: str, console: str) -> None:
    report = replies.decode_health({"healthy": False, "took": 12, "why": text})
    assert (report.reason, report.console, report.took_ms) == (reason, console, 12)


def test_one_round_of_checks_takes_no_time_of_its_own() -> None:
    assert replies.decode_health({"healthy": True, "why": "http 200"}).took_ms == 0


def test_an_inventory_knows_which_fleets_need_an_image() -> None:
    inventory = decode_inventory({"images": [IMAGE], "volumes": [VOLUME], "disk_free": 1})
    assert inventory.images[0].owners == {"shop-5f0c2a", "depot-1f0c2b"}


def test_the_rows_of_an_inventory_are_shown_as_the_host_sent_them() -> None:
    inventory = decode_inventory({"images": [IMAGE], "volumes": [VOLUME], "disk_free": 1})
    assert list(inventory.images[0].to_json().items()) == list(IMAGE.items())
    assert list(inventory.volumes[0].to_json().items()) == list(VOLUME.items())


def test_a_line_of_a_ledger_that_is_no_entry_is_left_out() -> None:
    written = {"at": 1.0, "user": "eve", "end": "complete", "token": 7, "overrides": ["volume:orders"], "format": 3}
    rows = [written, {"token": 8, "overrides": None}, {"token": 9, "took": [1]}]
    (entry,) = replies.decode_ledger({"entries": rows})
    assert (entry.token, entry.overrides) == (7, ("volume:orders",))


def test_a_configuration_in_place_has_a_text_and_a_digest() -> None:
    config = replies.decode_ingress_config({"text": "global\n", "hash": "0123"})
    assert (config.text, config.digest) == ("global\n", "0123")
