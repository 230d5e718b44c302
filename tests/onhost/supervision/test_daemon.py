"""What the supervisor does by itself: reap, judge, restart, bound consoles, and what becomes of its guests without
it."""

import errno
import os
import signal
import time
from pathlib import Path

import pytest

from tests.onhost.world import OWNER, Call, World, document, size
from unictl.onhost.handlers import logs
from unictl.onhost.instances import backoff, console_log, exits, hypervisor_process, instance_state, run_log
from unictl.onhost.platform import event_loop, processes
from unictl.onhost.storage import identifiers, locks
from unictl.onhost.supervision import backends, daemon_client
from unictl.onhost.survey import other_stores

KEY = "web-0.0123abcd"
FOREVER = "exec sleep 1000"


def shell(text: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", text)


def text_of(world: World, **ask: object) -> str:
    call = Call(world.connection)
    logs.tail(world.root, {"owner": OWNER, "name": "web-0", **ask}, call)
    return "".join(event["data"] for event in call.events)


@pytest.mark.parametrize(
    ("script", "exits", "verdict", "code"),
    [
        ("exit 0", [], "clean", None),
        ("exit 3", [], "failure", None),
        ("exit 83", [{"verdict": "crash", "status": 83}], "crash", None),
        ("exit 7", [{"verdict": "failure", "odd": True}], "failure", 3),
        ("kill -SEGV $$", [], "crash", None),
        ("kill -9 $$", [], "killed", None),
        ("echo panic: code 42; exit 0", [{"verdict": "crash", "console": r"panic: code (?P<code>\d+)"}], "crash", 42),
        ("exit 9", [{"verdict": "configuration", "status": 9}], "configuration", None),
    ],
)
def test_an_end_is_judged_by_the_exit_table(
    held: World, script: str, exits: list[object], verdict: str, code: int | None
) -> None:
    held.launch(document(argv=shell(script), exits=exits))
    end = held.until(KEY, "ended")["end"]
    assert (end["verdict"], end["code"]) == (verdict, code)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_by_somebody_it_is_started_again_unless_it_is_never_to_be(held: World, number: int) -> None:
    policies = {"web-0": "on-crash", "web-1": "always", "web-2": "never"}
    held.launch(*(document(name, restart=policy) for name, policy in policies.items()))
    for name in policies:
        os.kill(held.pid(f"{name}.0123abcd"), number)
    row = held.until("web-2.0123abcd", "ended", verdict="killed", restarting=False)
    assert row["end"]["signal"] == number
    for name in ("web-0", "web-1"):
        held.until(f"{name}.0123abcd", "running", starts=2)
    assert held.states()["web-2.0123abcd"] == "ended"


@pytest.mark.parametrize(
    ("policy", "script", "again"),
    [
        ("on-crash", "exit 1", True),
        ("on-crash", "exit 0", False),
        ("always", "exit 0", True),
        ("never", "exit 1", False),
    ],
)
def test_the_restart_policy_decides(held: World, policy: str, script: str, again: bool) -> None:
    held.launch(document(argv=shell(script), restart=policy))
    row = held.until(KEY, "ended")
    assert row["end"]["restarting"] is again


def test_it_is_started_again_after_a_second_and_then_after_two(held: World) -> None:
    held.launch(document(argv=shell("exit 1"), restart="on-crash"))
    deadline = time.monotonic() + 60
    while held.row(KEY)["starts"] < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    at = [entry["at"] for entry in run_log.read_entries(held.root.instance(OWNER, KEY)) if entry["event"] == "started"]
    assert 0.9 < at[1] - at[0] < 20
    assert 1.9 < at[2] - at[1] < 20


def test_the_back_off_ends_at_a_minute_and_begins_anew_after_a_steady_run(tmp_path: Path) -> None:
    pauses = []
    for n in range(10):
        pauses.append(backoff.pause_after(str(tmp_path), run_seconds=1.0))
        exits.record_exit(str(tmp_path), n, {}, "crash", pause=pauses[-1])
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert backoff.pause_after(str(tmp_path), run_seconds=backoff.STABLE_SECONDS) == 1


def test_retire_ends_a_back_off(held: World) -> None:
    held.launch(document(argv=shell("exit 1"), restart="on-crash"))
    held.until(KEY, "ended", restarting=True)
    held.retire(KEY)
    assert held.states() == {}
    time.sleep(1.2)
    assert not held.alive(KEY)


def test_a_failing_start_never_loops_after_a_configuration_error(held: World) -> None:
    held.launch(document(argv=shell("exit 9"), exits=[{"verdict": "configuration", "status": 9}], restart="always"))
    held.until(KEY, "ended", verdict="configuration", restarting=False)


def test_nothing_is_started_from_a_record_that_was_edited_by_hand(held: World) -> None:
    held.launch(document(argv=shell("exit 1"), restart="on-crash"))
    held.until(KEY, "ended", restarting=True)
    folder = held.root.instance(OWNER, KEY)
    edited = Path(folder, "record.json")
    edited.write_text(edited.read_text().replace("exit 1", "exit 2"))
    deadline = time.monotonic() + 60
    while (run_log.last_entry(folder) or {})["verdict"] != "configuration":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    last = run_log.last_entry(folder) or {}
    assert (last["reason"], last["restarting"]) == (f"{edited} was edited by hand", False)
    assert len([entry for entry in run_log.read_entries(folder) if entry["event"] == "started"]) == 1
    assert held.states() == {KEY: "damaged"}


def test_guests_survive_their_supervisor_and_the_next_lease_takes_them_over(held: World) -> None:
    held.launch(document(argv=shell("while :; do echo tick; sleep 0.05; done")))
    pid = held.pid(KEY)
    held.kill_supervisor()
    assert held.states() == {KEY: "unsupervised"}
    held.release()
    held.acquire()
    assert held.until(KEY, "running")["starts"] == 1
    assert held.pid(KEY) == pid
    before, deadline = text_of(held).count("tick"), time.monotonic() + 60
    while text_of(held).count("tick") <= before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    assert held.until(KEY, "ended")["end"]["verdict"] == "unknown"


def test_a_store_that_is_asked_under_another_root_tells_where_the_fleet_runs(held: World) -> None:
    held.launch(document())
    other = World(held.root.path + "-other")
    try:
        assert held.root.path in [each["root"] for each in other_stores.find_stores(other.root, OWNER)]
        assert other_stores.find_stores(other.root, "another-5f0c2a") == []
        assert held.survey()["elsewhere"] == []
    finally:
        other.close()


def test_what_ended_while_nobody_watched_is_told_and_not_restarted(held: World) -> None:
    held.launch(document(restart="on-crash"), document("web-1"))
    held.kill_supervisor()
    os.kill(held.pid(KEY), signal.SIGKILL)
    while held.alive(KEY):
        time.sleep(0.005)
    assert held.row(KEY)["end"]["verdict"] == "unknown"
    held.release()
    held.acquire()
    row = held.until(KEY, "ended", reason=run_log.UNOBSERVED_END["reason"])
    assert row["end"]["restarting"] is False


def test_a_back_off_goes_on_under_the_next_supervisor(held: World) -> None:
    held.launch(document(argv=shell("exit 1"), restart="on-crash"))
    held.until(KEY, "ended", restarting=True)
    held.kill_supervisor()
    held.release()
    held.acquire()
    deadline = time.monotonic() + 60
    while held.row(KEY)["starts"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_supervisor_lives_no_longer_than_its_instances(held: World) -> None:
    held.launch(document())
    pid = held.supervisor()
    assert pid
    held.retire(KEY)
    deadline = time.monotonic() + 60
    while held.supervisor() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert held.supervisor() == 0


def test_the_supervisor_does_not_hold_the_lease(held: World) -> None:
    held.launch(document())
    held.release()
    assert held.survey()["lease"] is None
    links = [path.readlink() for path in Path(f"/proc/{held.supervisor()}/fd").iterdir() if path.is_symlink()]
    assert not [link for link in links if "/leases/" in str(link)]


def test_a_flooding_console_stays_bounded(held: World) -> None:
    held.launch(
        document(argv=shell("yes 0123456789012345678901234567890123456789 & sleep 1.2; kill $!; exec sleep 1000"))
    )
    flooding = Path(f"/proc/{held.pid(KEY)}/cmdline")
    deadline = time.monotonic() + 60
    while not flooding.read_bytes().startswith(b"sleep\0"):
        assert time.monotonic() < deadline, "it does not stop"
        time.sleep(0.01)
    folder = held.root.instance(OWNER, KEY)
    sizes = [size(f"{folder}/console.{number}") for number in (0, 1)]
    assert max(sizes) <= console_log.FILE_LIMIT
    assert sum(sizes) > console_log.FILE_LIMIT // 2
    held.retire(KEY)


def test_hostile_console_bytes_reach_nobody(held: World) -> None:
    held.launch(document(argv=shell(r"printf 'a\033[2Jb\033]0;evil\007c\001\377\033Pq\r\nok\tend\n'; exec sleep 1000")))
    deadline = time.monotonic() + 60
    while "end" not in text_of(held):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    told = text_of(held)
    assert told.startswith("abc")
    assert "ok\tend\n" in told
    assert not [character for character in told if character < " " and character not in "\n\t"]


def test_tail_gives_the_last_lines_and_follows(held: World) -> None:
    held.launch(
        document(argv=shell("for i in 1 2 3 4 5; do echo line $i; done; sleep 0.3; echo later; exec sleep 1000"))
    )
    deadline = time.monotonic() + 60
    while "line 5" not in text_of(held):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert text_of(held, lines=2) in ("line 4\nline 5\n", "line 5\nlater\n")
    call = Call(held.connection)
    import threading

    following = threading.Thread(
        target=logs.tail, args=(held.root, {"owner": OWNER, "name": "web-0", "follow": True}, call)
    )
    following.start()
    while "later" not in "".join(event["data"] for event in call.events):
        assert time.monotonic() < deadline + 60
        time.sleep(0.02)
    call.cancelled.set()
    following.join(60)
    assert not following.is_alive()


def test_previous_is_the_generation_before(held: World) -> None:
    held.launch(document(argv=shell("echo old; exec sleep 1000")))
    while "old" not in text_of(held):
        time.sleep(0.02)
    held.launch(document(argv=shell("echo new; exec sleep 1000"), generation="11111111", launch=2))
    while "new" not in text_of(held):
        time.sleep(0.02)
    assert text_of(held, previous=True) == "old\n"
    held.retire(KEY)
    assert text_of(held, previous=True) == "old\n"
    assert text_of(held) == "new\n"


def test_facts_of_many_restarts_stay_bounded(world: World) -> None:
    folder = world.root.path
    for number in range(3000):
        run_log.append(folder, {"event": "ended", "n": number, "console": ["x" * 50]})
    run_log.truncate(folder)
    assert Path(folder + "/run-log.jsonl").stat().st_size < run_log.MAX_BYTES
    assert (run_log.last_entry(folder) or {})["n"] == 2999


def test_a_torn_line_of_facts_is_ignored(world: World) -> None:
    folder = world.root.path
    run_log.append(folder, {"event": "started", "n": 1})
    with Path(folder + "/run-log.jsonl").open("ab") as file:
        file.write(b'{"event": "end')
    assert (run_log.last_entry(folder) or {})["n"] == 1
    run_log.append(folder, {"event": "started", "n": 2})
    assert [entry["n"] for entry in run_log.read_entries(folder)] == [1, 2]


def test_the_run_folder_is_named_alike_by_everybody() -> None:
    assert identifiers.run_dir_name("hello", "web-0.0123abcd") == identifiers.run_dir_name("hello", "web-0.0123abcd")
    assert identifiers.run_dir_name("hello", "a") != identifiers.run_dir_name("hello/a")


@pytest.mark.parametrize("step", ["socket.socket.bind", "code_location", "os.posix_spawn"])
def test_a_supervisor_that_cannot_be_started_leaves_no_lock_no_socket_and_no_descriptor(
    held: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    folder = Path(instance_state.supervisor_dir(held.root, OWNER))
    client = daemon_client.DaemonClient(held.writable, OWNER, daemon_client.start_detached)
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as once:
        once.setattr(f"unictl.onhost.supervision.daemon_client.{step}", refuse)
        with pytest.raises(OSError, match="temporarily"):
            client.connect_or_start()
    assert not (folder / "socket").exists()
    assert not locks.is_locked(str(folder / "lock"))
    assert len(os.listdir("/proc/self/fd")) == before
    client.connect_or_start().close()


def test_a_pid_is_named_only_where_that_process_is_the_supervisor(held: World) -> None:
    held.launch(document())
    lock = Path(instance_state.supervisor_dir(held.root, OWNER)) / "lock"
    pid = held.supervisor()
    assert f"kill -9 {pid}" in daemon_client.unresponsive_error(held.root, OWNER).hint
    # As it is until a new supervisor has written its own: that of another process stands there.
    lock.write_text(f"{held.pid(KEY)}\n")
    assert "kill" not in daemon_client.unresponsive_error(held.root, OWNER).hint
    lock.write_text(f"{pid}\n")
    held.kill_supervisor()
    assert "kill" not in daemon_client.unresponsive_error(held.root, OWNER).hint


def test_one_that_has_just_begun_and_was_not_found_yet_is_stopped_all_the_same(
    held: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert held.launch(document())[0]["ok"]
    held.kill_supervisor()
    faults: list[bool] = []
    ended: list[str] = []
    turns = event_loop.EventLoop(lambda: faults.append(True))
    found, looks = hypervisor_process.find_running, iter(range(100))
    monkeypatch.setattr(
        hypervisor_process, "find_running", lambda *words: found(*words) if next(looks) > 2 else (0, 0, 0)
    )
    one = backends.DetachedBackend(held.root, OWNER).create_process(turns, KEY)
    one.adopt()
    assert one.state == "waiting"
    one.stop(5.0, lambda: ended.append(one.state))
    deadline = time.monotonic() + 30
    while not ended:
        assert time.monotonic() < deadline
        turns.run_once(0.1)
    assert (ended, faults) == (["idle"], [])
    assert not held.alive(KEY)


def test_a_child_gives_up_what_its_supervisor_took_and_one_that_comes_behind_others_begins_all_the_same() -> None:
    def after(nice: int) -> int:
        if (pid := os.fork()) == 0:
            try:
                os.setpriority(os.PRIO_PROCESS, 0, nice)
                if nice > 0 and os.geteuid() == 0:
                    os.setresuid(12345, 12345, 12345)
                processes.reset_priority()
                os._exit(os.getpriority(os.PRIO_PROCESS, 0))
            finally:
                os._exit(99)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert after(5) == 5
    if os.geteuid() == 0:
        assert after(-5) == 0
