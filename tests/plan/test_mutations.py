"""Each law bites: a planner with one deliberate mistake breaks it. Nothing here is about the planner's own code."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.plan import edit_laws, laws
from tests.plan.builders import fleet, service
from tests.plan.worlds import Story, stories
from unictl.fleet.model import MIB
from unictl.instances.launch import addresses
from unictl.instances.placement import capacity, place
from unictl.instances.placement import place as placement_place
from unictl.plan.progress import rollback
from unictl.plan.reconcile import classify, decide, reconcile
from unictl.plan.reconcile import drift as reconcile_drift
from unictl.plan.reconcile.classify import InstanceClass
from unictl.plan.reconcile.drift import Drift
from unictl.plan.rollout import builder, ingress_members, rollout, waves
from unictl.plan.whatif import whatif

Patch = Callable[[pytest.MonkeyPatch], None]


def caught(
    law: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch, mutation: Patch, *, examples: int = 150
) -> None:
    """The law fails under the mutation, and not without it."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(story=stories())
    def held(story: Story) -> None:
        law(story)

    mutation(monkeypatch)
    with pytest.raises((AssertionError, ValueError)):
        held()


def _set(target: Any, name: str, value: Any) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(target, name, value)


def test_a_difference_seen_where_there_is_none_breaks_convergence(monkeypatch: pytest.MonkeyPatch) -> None:
    caught(laws.converged, monkeypatch, _set(decide, "find_drift", lambda *_: Drift(reason="replace_because_args")))


def test_surplus_that_is_not_looked_for_breaks_apply_then_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    caught(laws.applied_is_empty, monkeypatch, _set(reconcile, "_surplus_changes", lambda *_: ()))


def test_twins_left_alone_break_convergence_after_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    caught(laws.killed_converges, monkeypatch, _set(waves, "_destroyed_instances", lambda rows: ()))


def test_a_crash_taken_for_health_breaks_mending(monkeypatch: pytest.MonkeyPatch) -> None:
    caught(laws.trouble_converges, monkeypatch, _set(classify, "_stopped_class", lambda live: InstanceClass.UNTAINTED))


def test_a_launch_number_used_again_breaks_mending(monkeypatch: pytest.MonkeyPatch) -> None:
    caught(laws.trouble_converges, monkeypatch, _set(decide, "next_launch_number", lambda *_: 1))


def test_silent_ingresses_forgotten_break_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    caught(
        laws.silence_is_not_absence, monkeypatch, _set(reconcile, "_hold_if_ingress_unknown", lambda s, found: found)
    )


def test_others_ports_not_counted_break_foreignness(monkeypatch: pytest.MonkeyPatch) -> None:
    caught(laws.foreign_never_named, monkeypatch, _set(addresses, "taken_ports", lambda world, host: frozenset()))


def test_services_in_the_order_of_the_file_break_the_law_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    caught(
        laws.order_never_matters, monkeypatch, _set(rollout, "order_by_needs", lambda fleet, _: tuple(fleet.services))
    )


def test_barriers_left_out_break_the_bound_on_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [service(n, replicas=24, needs=() if n in "abcd" else tuple("abcd")) for n in "abcdefgh"]
    wide = fleet(*many, hosts=6)
    story = Story(before=wide, after=replace(wide, services={}), seed=1)
    laws.graph_is_sound(story)
    monkeypatch.setattr(builder.StepBuilder, "add_barrier", lambda self, name, needs, *_: tuple(dict.fromkeys(needs)))
    with pytest.raises(AssertionError):
        laws.graph_is_sound(story)


def test_retiring_without_waiting_breaks_the_order_of_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(self: Any, wave: Any, joined: Any) -> Any:
        for item in wave.items:
            for live in item.stop_after:
                self._retire(live, wave.service, wave.number, ())
        return joined

    caught(
        laws.old_stays_until_new_is_there, monkeypatch, _set(rollout._RolloutPlanner, "_retire_predecessors", finish)
    )


def test_taking_all_down_at_once_breaks_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(waves, "_max_parallel", lambda service: 99)
        monkeypatch.setattr(waves, "max_unavailable", lambda service, _: 99)

    caught(laws.never_more_down_than_allowed, monkeypatch, everything, examples=400)


def test_waves_that_are_not_counted_twice_break_the_tightest_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    mutation = _set(capacity.ReplacementPeak, "growth", lambda *_: (0, 0))
    caught(laws.never_tighter_than_told, monkeypatch, mutation, examples=300)


def test_an_ingress_that_is_not_written_breaks_apply_then_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    mutation = _set(rollout, "ingress_hosts", lambda s: ingress_members.ingress_hosts(s)[:1])
    caught(laws.applied_is_empty, monkeypatch, mutation, examples=400)


def test_waves_that_are_done_and_do_not_go_back_break_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    mutation = _set(rollback._RollbackBuilder, "undo_completed_wave", lambda self, wave: None)
    caught(laws.a_failed_wave_goes_back, monkeypatch, mutation, examples=300)


def test_new_ones_of_a_failed_wave_that_stay_break_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    mutation = _set(rollback._RollbackBuilder, "undo_failed_wave", lambda self, wave: None)
    caught(laws.a_failed_wave_goes_back, monkeypatch, mutation, examples=300)


def test_the_new_leaving_before_the_old_is_back_breaks_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(self: Any, wave: Any) -> None:
        new = wave.new_hosts()
        rows = wave.record.rollback.reverted
        self._remove_generations(wave, {row.new_key: new[row.new_key] for row in rows})
        self._relaunch(wave, rows)

    caught(
        laws.a_failed_wave_goes_back,
        monkeypatch,
        _set(rollback._RollbackBuilder, "undo_completed_wave", hasty),
        examples=300,
    )


def test_spreading_who_runs_over_a_new_host_breaks_that_it_moves_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    place = placement_place.place
    mutation = _set(reconcile, "place", lambda *given, **named: place(*given, **{**named, "rebalance": True}))
    caught(edit_laws.a_new_host_moves_nobody, monkeypatch, mutation)


def test_a_replacement_that_is_not_replaced_again_breaks_there_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    drift = reconcile_drift.find_drift
    mutation = _set(decide, "find_drift", lambda s, wished, live: None if live.launch > 1 else drift(s, wished, live))
    caught(edit_laws.there_and_back_is_where_it_was, monkeypatch, mutation)


def test_room_that_counts_against_who_has_it_breaks_that_more_of_it_refuses_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms = capacity.host_capacities

    def odd(*given: Any) -> Any:
        return {name: replace(room, memory=room.memory % (512 * MIB)) for name, room in rooms(*given).items()}

    caught(edit_laws.more_room_refuses_nobody, monkeypatch, _set(place, "host_capacities", odd))


def test_a_question_that_is_not_heard_breaks_that_it_is_answered_as_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    mutation = _set(whatif, "apply_scenario", lambda fleet, question: fleet)
    caught(edit_laws.a_question_is_answered_as_an_edit_is_planned, monkeypatch, mutation)
