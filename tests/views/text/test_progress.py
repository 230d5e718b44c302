"""What is in flight, for a given moment."""

from tests.views import samples
from unictl.diagnostics.diagnostic import Diagnostic
from unictl.journal.event import (
    Began,
    Ended,
    Event,
    Failed,
    Finished,
    Interrupting,
    Progressed,
    Rollback,
    Started,
    Waiting,
)
from unictl.plan.model.step import Step, StepKind
from unictl.views.text import layout, progress


def _step(n: int, kind: StepKind = StepKind.LAUNCH) -> Step:
    return Step(id=f"{kind.value}:api-{n}", kind=kind, host="hv1", subject=f"api-{n}", service="api")


def _after(*events: Event) -> progress.Progress:
    now = progress.Progress()
    for event in events:
        now = progress.advance(now, event)
    return now


def _plain(lines) -> list[str]:
    return [layout.plain_text(line) for line in lines]


def test_the_region_shows_what_runs_since_when_and_how_many_are_done() -> None:
    now = _after(
        Began(at=0, steps=4), Started(at=1, step=_step(0)), Started(at=2, step=_step(1)), Finished(at=3, step=_step(0))
    )
    lines = _plain(progress.region_lines(now, 65.0, 60))
    assert lines[0].startswith("  api-1: launch on hv1") and lines[0].endswith("1m03s") and len(lines[0]) == 60
    assert lines[-1] == "1 of 4 steps done [1m05s]"


def test_the_region_never_grows_beyond_its_height() -> None:
    now = _after(Began(at=0, steps=99), *(Started(at=1, step=_step(n)) for n in range(50)))
    lines = _plain(progress.region_lines(now, 2.0, 80, 10))
    assert len(lines) <= 10 and lines[-2] == "  and 42 more"


def test_a_share_is_shown_where_it_is_known() -> None:
    now = _after(
        Began(at=0, steps=1),
        Started(at=1, step=_step(0)),
        Progressed(at=2, step=_step(0), done=1, total=4, text="10MiB"),
    )
    assert "25% 10MiB" in _plain(progress.region_lines(now, 3.0))[0]
    assert now.running[_step(0).id].since == 1


def test_barriers_are_nobodys_business() -> None:
    barrier = Step(id="healthy:api", kind=StepKind.BARRIER)
    now = _after(Began(at=0, steps=1), Started(at=1, step=barrier))
    assert _plain(progress.region_lines(now, 2.0)) == ["0 of 1 steps done [2s]"]
    assert progress.event_line(now, Finished(at=2, step=barrier)) is None


def test_who_goes_back_is_told_with_what_failed_in_words() -> None:
    step = _step(1, StepKind.PROVE)
    now = _after(
        Started(at=1, step=step), Failed(at=2, step=step, problem=Diagnostic(code="unhealthy", summary="no answer"))
    )
    line = progress.event_line(now, Rollback(at=2, service="api", cause=step.id, steps=3))
    assert line and layout.plain_text(line) == "api goes back to what it was, since api-1 did not become healthy on hv1"


def test_who_cannot_go_all_the_way_back_is_not_said_to_go_there() -> None:
    now = _after(Began(at=0, steps=1))
    line = progress.event_line(now, Rollback(at=2, service="api", cause="launch:api-1", steps=3, is_partial=True))
    told = "api stops where it is, and what nobody was sent to is removed, since launch:api-1 failed"
    assert line and layout.plain_text(line) == told


def test_what_ended_is_told_once_with_how_long_it_took() -> None:
    now = _after(Started(at=1, step=_step(0)))
    line = progress.event_line(now, Finished(at=4.2, step=_step(0)))
    assert line and layout.plain_text(line) == "api-0: launched on hv1 [3s]"
    assert progress.event_line(now, Started(at=1, step=_step(1))) is None


def test_a_failure_says_what_and_why() -> None:
    line = progress.event_line(_after(), Failed(at=1, step=_step(0), problem=samples.REFUSAL))
    assert line and layout.plain_text(line).startswith("api-0 could not be launched on hv1: this plan destroys")


def test_a_failure_does_not_say_twice_who_and_where() -> None:
    problem = Diagnostic(code="unhealthy", summary="api-0: host hv1: not healthy within 3 s: answered 503")
    line = progress.event_line(_after(), Failed(at=1, step=_step(0, StepKind.PROVE), problem=problem))
    assert (
        line and layout.plain_text(line) == "api-0 did not become healthy on hv1: not healthy within 3 s: answered 503"
    )


def test_an_ingress_is_written_and_not_put_behind_itself() -> None:
    step = Step(id="join:hv1", kind=StepKind.JOIN, host="hv1", subject="ingress")
    line = progress.event_line(_after(Started(at=1, step=step)), Finished(at=1, step=step))
    assert line and layout.plain_text(line) == "ingress: written anew on hv1 [0s]"


def test_a_host_that_is_left_is_named_once() -> None:
    step = Step(id="close:hv1", kind=StepKind.CLOSE, host="hv1", subject="hv1")
    line = progress.event_line(_after(Started(at=1, step=step)), Finished(at=1, step=step))
    assert line and layout.plain_text(line) == "hv1: the fleet has left it [0s]"


def test_the_heartbeat_names_what_still_runs_in_three_lines_at_most() -> None:
    now = _after(Began(at=0, steps=9), *(Started(at=n, step=_step(n)) for n in range(9)))
    lines = _plain(progress.heartbeat_lines(now, 30.0))
    assert lines[0] == "Still: api-0: launch on hv1 [30s]" and lines[-1] == "and 6 more still running"
    assert len(lines) == 4


def test_waiting_for_somebody_else_is_said_until_something_starts() -> None:
    waiting = _after(Waiting(at=0, text="ann@desk holds the lease on hv1"))
    assert _plain(progress.heartbeat_lines(waiting, 10.0)) == ["Still waiting: ann@desk holds the lease on hv1"]
    assert not progress.advance(waiting, Started(at=1, step=_step(0))).waiting


def test_the_end_leaves_nothing_in_flight() -> None:
    now = _after(Began(at=0, steps=1), Started(at=1, step=_step(0)), Interrupting(at=2), Ended(at=3))
    assert now.is_stopping and not now.running and progress.heartbeat_lines(now, 9.0) == ()


def test_times_read_as_people_say_them() -> None:
    assert [progress.elapsed_text(t) for t in (-1, 0.9, 59, 63, 7500)] == ["0s", "0s", "59s", "1m03s", "2h05m"]


def test_what_is_sent_shows_its_rate_and_how_long_still() -> None:
    at = [Began(at=0, steps=1), Started(at=0, step=_step(0))]
    at += [Progressed(at=1 + n, step=_step(0), done=(10 + 10 * n) << 20, total=100 << 20) for n in range(3)]
    shown = progress.Progress()
    for event in at:
        shown = progress.advance(shown, event)
    assert "30% 10 MiB/s, 8s left" in _plain(progress.region_lines(shown, 3.0))[0]


def test_what_is_sent_and_moves_no_more_promises_nothing_and_says_since_when() -> None:
    """As over a line that was cut; and it goes on where it goes on."""
    shown = progress.Progress()
    for n in range(3):
        shown = progress.advance(shown, Progressed(at=1 + n, step=_step(0), done=(10 + 10 * n) << 20, total=100 << 20))
    assert "s left" in _plain(progress.region_lines(shown, 7.0))[0]
    for now in (8.0, 18.0):
        for line in (_plain(progress.region_lines(shown, now))[0], _plain(progress.heartbeat_lines(shown, now))[0]):
            assert f" 30%, stalled for {now - 3:.0f}s" in line and "left" not in line
    moved = progress.advance(shown, Progressed(at=19, step=_step(0), done=40 << 20, total=100 << 20))
    assert "40% 1.7 MiB/s, " in _plain(progress.region_lines(moved, 19.0))[0]
    whole = progress.advance(moved, Progressed(at=20, step=_step(0), done=100 << 20, total=100 << 20))
    assert "stalled" not in _plain(progress.region_lines(whole, 60.0))[0]


def test_a_rate_is_not_guessed_from_the_first_word() -> None:
    shown = progress.Progress()
    for event in (Started(at=0, step=_step(0)), Progressed(at=9, step=_step(0), done=50, total=100)):
        shown = progress.advance(shown, event)
    assert "left" not in _plain(progress.region_lines(shown, 9.0))[0]
