"""Reason codes in words: nobody has to read a code."""

import pytest

from tests.views import samples
from unictl.instances.desired.spec import DEFAULTS
from unictl.plan.model.change import Action, Change
from unictl.plan.model.reason import Reason, hold_because_volume_on, replace_because
from unictl.views.text import layout, plan_text, reasons

CODES = [*map(str, Reason), *(replace_because(key) for key in ("image", *DEFAULTS)), hold_because_volume_on("hv1")]


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_sentence_of_its_own(code: str) -> None:
    action = Action(code.partition("_because_")[0]) if not code.startswith("held") else Action.HELD
    words = reasons.phrase(Change(action=action, subject="api-0", reason=code))
    assert "because of" not in words, words
    assert "_" not in words.removesuffix("hv1"), words


def test_a_policy_that_many_hosts_remember_otherwise_is_a_row_about_hosts() -> None:
    rows = tuple(Change(action=Action.ADJUST, subject="policy", host=f"hv{n}", reason=Reason.POLICY) for n in range(3))
    shown = layout.join_lines(plan_text.render(samples.plan(rows), 80))
    assert "policy  3 hosts" in shown
    assert "instance" not in shown
