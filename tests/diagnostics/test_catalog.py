"""The catalogue has every code that the product uses, and no other."""

from tests.diagnostics.used_codes import used_codes
from unictl.diagnostics.catalog import CATALOG, CodeKind
from unictl.plan.model.reason import Reason


def test_every_used_code_is_listed() -> None:
    assert used_codes() - CATALOG.keys() == set()


def test_every_listed_code_is_used() -> None:
    assert CATALOG.keys() - used_codes() == set()


def test_every_meaning_is_one_sentence() -> None:
    wrong = [code for code, entry in CATALOG.items() if not entry.meaning.endswith(".") or ". " in entry.meaning]
    assert wrong == []


def test_the_reasons_of_changes_are_reasons() -> None:
    assert {CATALOG[reason].kind for reason in Reason} == {CodeKind.REASON}
