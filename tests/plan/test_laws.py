"""Laws that hold for any fleet, any change and any trouble."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.plan import edit_laws, laws
from tests.plan.worlds import Story, stories

LAWS = (
    laws.converged,
    laws.applied_is_empty,
    laws.killed_converges,
    laws.trouble_converges,
    laws.silence_is_not_absence,
    laws.foreign_never_named,
    laws.order_never_matters,
    laws.graph_is_sound,
    laws.old_stays_until_new_is_there,
    laws.never_more_down_than_allowed,
    laws.never_tighter_than_told,
    laws.a_failed_wave_goes_back,
    edit_laws.a_new_host_moves_nobody,
    edit_laws.there_and_back_is_where_it_was,
    edit_laws.more_room_refuses_nobody,
    edit_laws.a_question_is_answered_as_an_edit_is_planned,
    laws.of_a_host_that_falls_silent_nothing_is_claimed,
    laws.lost_is_not_absent,
    laws.destroy_takes_no_ingress_from_who_is_held,
)
SETTINGS = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@SETTINGS
@given(story=stories())
def test_law(law: object, story: Story) -> None:
    assert callable(law)
    law(story)
