"""Lines, rows and trees."""

import yaml

from tests.views import samples
from unictl.diagnostics.failure import Refused
from unictl.plan.model.change import Action, Change
from unictl.views.text import failures, fold, layout, sorting, tree


def test_names_sort_as_people_count() -> None:
    assert sorted(["api-10", "api-2", "api", "api-1"], key=sorting.natural_key) == ["api", "api-1", "api-2", "api-10"]


def test_changes_that_differ_in_a_field_are_two_rows() -> None:
    found = fold.fold_rows((*samples.bump(5), samples.stop_first()))
    assert [len(row.changes) for row in found] == [1, 5]


def test_order_of_changes_never_matters() -> None:
    changes = samples.everything().changes
    assert fold.fold_rows(changes) == fold.fold_rows(tuple(reversed(changes))) or _names(changes) == _names(
        changes[::-1]
    )


def _names(changes) -> list[list[str]]:
    return [sorted(each.subject for each in row.changes) for row in fold.fold_rows(changes)]


def test_a_move_says_from_where_to_where() -> None:
    change = Change(action=Action.MOVE, subject="mail-0", host="hv1", to_host="hv2", reason="move_because_drain")
    assert fold.fold_rows([change])[0].amount == "from hv1 to hv2"


def test_a_place_is_that_of_the_nearest_entry() -> None:
    change = samples.stop_first()
    assert fold.origin_place(change, samples.PLACES) == "fleet.yaml:40:3"
    assert fold.origin_place(change, {}) == "services.db.args.0"


def test_values_are_on_one_line_and_told_apart() -> None:
    assert [fold.format_value(each) for each in (None, "", "a b", [1, 2], True)] == [
        "(none)",
        '""',
        "a b",
        "[1, 2]",
        "true",
    ]
    assert "\n" not in fold.format_value("a\nb") and "\\x0a" in fold.format_value("a\nb")


def test_what_turns_text_around_is_shown_as_an_escape() -> None:
    assert layout.sanitize("a\u202eb\u2066c") == "a\\u202eb\\u2066c"


def test_the_middle_is_left_out_of_what_is_too_long() -> None:
    assert layout.elide("abcdefghij", 5) == "ab\u2026ij" and layout.elide("abc", 5) == "abc"


def test_a_few_names_are_all_named_and_many_are_counted() -> None:
    assert layout.abbreviate(["a", "b", "c", "d"]) == "a, b, c, d"
    assert layout.abbreviate(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_a_tree_is_yaml_that_means_the_same() -> None:
    document = {
        "fleet": {"name": "shop", "id": "5f0c2a", "on": "yes", "nothing": None},
        "hosts": {"hv1": {"connect": "ssh://ops@hv1:22", "address": "10.0.0.11", "labels": {}}},
        "args": ["--db=${service.db.sql}", "# no comment", "- dash", "a: b", "*alias", "&anchor", "0x10", "1e3", ""],
        "list": [
            {"a": 1, "b": [True, 2.5]},
            [],
            [["x"]],
            "012",
            "~",
            "grün",
            "tab\there",
            "e\x1b[0m",
            "a #b",
            "12:30:00",
        ],
    }
    assert yaml.safe_load(layout.join_lines(tree.document_lines(document))) == document


def test_a_failure_ends_with_its_sentence_and_what_to_do_next() -> None:
    shown = layout.join_lines(
        failures.render(Refused("the budget is 3", hint="unictl apply -var 'x=a  b'", detail="one\ntwo"))
    )
    assert shown == "Error: the budget is 3.\n  one\n  two\nNext: unictl apply -var 'x=a  b'\n"
