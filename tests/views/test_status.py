"""What runs, who holds a lease, consoles: documents as text."""

from collections.abc import Callable

from tests.views import samples
from unictl.views import layout, status


def test_the_status_reads_as_it_should(golden: Callable[[str, str], None]) -> None:
    golden("status.txt", layout.text(status.status(samples.STATUS, 100)))


def test_instances_are_in_the_order_people_count() -> None:
    shown = layout.text(status.status(samples.STATUS))
    assert shown.index("api-2") < shown.index("api-10") < shown.index("db-0")


def test_no_line_of_a_table_is_wider_than_the_terminal() -> None:
    assert all(len(layout.plain(line)) <= 60 for line in status.status(samples.STATUS, 60)[:-1])


def test_the_last_line_counts_and_names_silent_hosts() -> None:
    last = layout.plain(status.status(samples.STATUS)[-1])
    assert last == "shop: 3 instances, 1 running, 1 healthy, 1 ended, 1 unknown; 2 hosts, 1 unreachable."


def test_a_state_has_its_colour() -> None:
    spans = [span for line in status.status(samples.STATUS, 100) for span in line]
    assert {span.style for span in spans if span.text.strip() == "healthy"} == {"create"}


def test_an_empty_document_is_no_trouble() -> None:
    assert layout.text(status.status({"fleet": "shop"})).endswith("shop: 0 instances, 0 running, 0 healthy; 0 hosts.\n")


def test_locks_say_who_is_at_work() -> None:
    shown = layout.text(status.locks(samples.STATUS))
    assert "hv1  user ann@desk, doing apply, token 7" in shown and "hv2  unknown" in shown
    assert shown.endswith("Held on 1 host. 1 host could not be asked.\n")


def test_nobody_at_work_is_said() -> None:
    document = {"hosts": [{"name": "hv1", "reachable": True, "lease": None}]}
    assert layout.text(status.locks(document)).endswith("Nobody holds a lease.\n")


def test_a_guests_control_characters_do_not_reach_the_terminal() -> None:
    lines = [layout.plain(line) for line in status.logs(["\x1b[32mok\x1b[0m\r\n", "a\x1b]0;title\x07b\tc\n"])]
    assert lines == ["ok", "a\\x1b]0;title\\x07b\tc"]


def test_console_lines_come_one_by_one() -> None:
    seen: list[str] = []

    def source():
        for line in ("one", "two"):
            seen.append(line)
            yield line

    stream = iter(status.logs(source()))
    next(stream)
    assert seen == ["one"]
