"""What runs, who holds a lease, consoles: documents as text."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.views import samples
from unictl.execution.queries import is_completed_job
from unictl.fleet.model import Fleet, Service
from unictl.instances.observed.host_state import LiveInstance
from unictl.views.text import hosts, layout, status, units


def test_the_status_reads_as_it_should(golden: Callable[[str, str], None]) -> None:
    golden("status.txt", layout.join_lines(status.render(samples.STATUS)))


def test_instances_are_in_the_order_people_count() -> None:
    shown = layout.join_lines(status.render(samples.STATUS))
    assert shown.index("api-2") < shown.index("api-10") < shown.index("db-0")


def test_no_line_of_a_table_is_wider_than_the_terminal() -> None:
    assert all(len(layout.plain_text(line)) <= 60 for line in status.render(samples.STATUS, 60)[:-1])


def test_the_last_line_counts_and_names_silent_hosts() -> None:
    last = layout.plain_text(status.render(samples.STATUS)[-1])
    assert last == "shop: 3 instances, 1 running, 1 healthy, 1 ended, 1 unknown; 2 hosts, 1 unreachable."


def test_a_state_has_its_colour() -> None:
    spans = [span for line in status.render(samples.STATUS, 100) for span in line]
    assert {span.style for span in spans if span.text.strip() == "healthy"} == {"create"}


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"accel": "tcg", "cpu": "max", "loops_per_second": 146_801_212, "tried": [1]}, "tcg (max), 147 M loops/s"),
        ({"accel": "tcg", "cpu": "max", "loops_per_second": 0}, "tcg (max)"),
        ("kvm", "kvm"),
        (None, "-"),
    ],
)
def test_the_accelerator_is_told_in_words(told: object, shown: str) -> None:
    assert hosts.accelerator_text(told) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (172_799, "47 h"), (172_800, "2 d")],
)
def test_an_age_is_one_number_and_its_unit(seconds: float, shown: str) -> None:
    assert units.age(1e9 + seconds, 1e9) == shown


def test_an_age_of_what_is_not_known_is_empty_and_a_clock_that_went_back_is_no_trouble() -> None:
    assert (units.age(None, 5), units.age(5, 0), units.age(5, 7)) == ("", "", "0 s")


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (64 << 20, "64 MiB"), (5_583_457_485, "5.2 GiB"), (47 << 30, "47 GiB"), (None, "-")]
)
def test_an_amount_is_about_what_it_is(size: object, shown: str) -> None:
    assert units.byte_size(size) == shown


def wide(replicas: int, commit: str = "3f2a9c1d8e7b") -> dict[str, Any]:
    """A host and instances whose names and ports need room."""
    instance = {**samples.STATUS["instances"][1], "commit": commit, "ports": {"http": 31002, "metrics": 31003}}
    names = [f"payment-gateway-{number}" for number in range(replicas)]
    rows = [{**instance, "name": name, "health": "process-only"} for name in names]
    return {"fleet": "shop", "hosts": samples.STATUS["hosts"][1:], "instances": rows}


def test_where_room_is_short_addresses_go_first_and_names_states_and_ports_stay() -> None:
    shown = layout.join_lines(status.render(wide(1), 90))
    assert "payment-gateway-0  hv1   running  process-only  3 min  http:31002, metrics:31003  3f2a9c1d\n" in shown
    shown = layout.join_lines(status.render(wide(1), 80))
    assert "payment-gateway-0  hv1   running  process-only  3 min  http:31002, metrics:31003\n" in shown
    shown = layout.join_lines(status.render(wide(1, ""), 120))
    assert "3 min  http 10.0.0.11:31002, metrics 10.0.0.11:31003\n" in shown
    assert "COMMIT" not in shown


def test_what_several_hosts_lack_is_said_once() -> None:
    host = samples.STATUS["hosts"][1]
    document = {"fleet": "shop", "hosts": [{**host, "name": f"hv{n}", "lease": None} for n in range(3)]}
    assert "hv0, hv1, hv2: there is no HAProxy (install it).\n" in layout.join_lines(status.render(document))


def test_a_full_disk_is_told_before_the_next_apply_fails() -> None:
    host = {**samples.STATUS["hosts"][1], "free": {"memory": 1 << 30, "disk": 12 << 10}}
    shown = " ".join(layout.join_lines(status.render({"fleet": "shop", "hosts": [host]})).split())
    assert "hv1: its disk is full: 12 KiB are free where the store is" in shown


def test_a_healthy_fleet_has_no_sentences() -> None:
    quiet = {**samples.STATUS["hosts"][1], "capabilities": [], "lease": None, "ingress": {"state": "running"}}
    up = {key: value for key, value in samples.STATUS["instances"][1].items() if key != "starts"}
    shown = layout.join_lines(status.render({"fleet": "shop", "hosts": [quiet], "instances": [up]}))
    assert [line.split("  ")[0] for line in shown.splitlines()] == [
        *("HOST", "hv1", "", "INSTANCE", "api-2", ""),
        "shop: 1 instance, 1 running, 1 healthy; 1 host.",
    ]


def test_an_empty_document_is_no_trouble() -> None:
    assert layout.join_lines(status.render({"fleet": "shop"})).endswith(
        "shop: 0 instances, 0 running, 0 healthy; 0 hosts.\n"
    )


def test_locks_say_who_is_at_work() -> None:
    shown = layout.join_lines(status.render_locks(samples.STATUS))
    assert "hv1  ann@desk holds the lease for 10 s: apply of revision 3f2a9c1d (process 71)\n" in shown
    assert "hv2  unknown: " in shown
    assert shown.endswith("Held on 1 host. 1 host could not be asked.\n")


def test_nobody_at_work_is_said() -> None:
    document = {"hosts": [{"name": "hv1", "reachable": True, "lease": None}]}
    assert layout.join_lines(status.render_locks(document)).endswith("Nobody holds a lease.\n")


def test_a_guests_control_characters_do_not_reach_the_terminal() -> None:
    lines = [
        layout.plain_text(line) for line in status.console_lines(["\x1b[32mok\x1b[0m\r\n", "a\x1b]0;title\x07b\tc\n"])
    ]
    assert lines == ["ok", "a\\x1b]0;title\\x07b\tc"]


def test_console_lines_come_one_by_one() -> None:
    seen: list[str] = []

    def source():
        for line in ("one", "two"):
            seen.append(line)
            yield line

    stream = iter(status.console_lines(source()))
    next(stream)
    assert seen == ["one"]


def test_a_job_that_ended_clean_is_healthy_and_nothing_is_said_of_it() -> None:
    end = {"verdict": "clean", "code": 0, "at": 5.0, "console": ["migrated 3 tables"]}
    live = LiveInstance(
        name="migrate-0",
        generation="a" * 8,
        service="migrate",
        ordinal=0,
        launch=0,
        fingerprint="",
        state="ended",
        end=end,
    )
    job = Fleet(name="shop", services={"migrate": Service(name="migrate", kind="job", image="app")})
    assert is_completed_job(job, live)
    assert not is_completed_job(job, replace(live, end={**end, "verdict": "crash"}))
    assert not is_completed_job(replace(job, services={"migrate": Service(name="migrate", image="app")}), live)
    row = {"name": "migrate-0", "host": "hv1", "state": "ended", "health": "healthy", "exit": end}
    shown = layout.join_lines(status.render({"fleet": "shop", "instances": [row]}))
    assert "migrated" not in shown and "1 healthy, 1 ended" in shown
    assert "migrated" in layout.join_lines(
        status.render({"fleet": "shop", "instances": [{**row, "health": "unknown"}]})
    )


def test_what_was_started_of_files_that_no_commit_has_is_marked() -> None:
    row = {"name": "api-0", "host": "hv1", "state": "running", "health": "healthy", "commit": "6936018fab12"}
    for more, shown in (({"uncommitted": True}, "6936018f+"), ({"uncommitted": False}, "6936018f"), ({}, "6936018f")):
        lines = layout.join_lines(status.render({"fleet": "shop", "instances": [{**row, **more}]})).splitlines()
        assert next(line for line in lines if line.startswith("api-0")).split()[-1] == shown
