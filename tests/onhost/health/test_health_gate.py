"""The gate: seen at once, proven for as long as asked, never passed by what only accepts connections."""

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.onhost.world import OWNER, Call, World, document
from unictl.onhost import errors
from unictl.onhost.handlers import health

HELLO = Path(__file__).resolve().parents[3] / "playbooks/hello/hello.elf"
KEY = "web-0.0123abcd"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Answer = Callable[[bytes, int], "bytes | None"]


class Backend:
    """Answers each connection with what ``answer(request, number)`` says; None: never."""

    def __init__(self, answer: Answer, port: int = 0):
        self.answer = answer
        self.requests: list[bytes] = []
        self.times: list[float] = []
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.times.append(time.monotonic())
                threading.Thread(target=self._talk, args=(connection, len(self.times)), daemon=True).start()

    def _talk(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            request = connection.recv(65536)
            self.requests.append(request)
            said = self.answer(request, number)
            if said is None:
                self.open.append(connection)
                return
            connection.sendall(said)
            connection.close()

    def close(self) -> None:
        for each in (self.listener, *self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.fixture
def backend() -> Iterator[Callable[..., Backend]]:
    made: list[Backend] = []

    def make(answer: Answer | bytes = OK, port: int = 0) -> Backend:
        made.append(Backend((lambda *_: answer) if isinstance(answer, bytes) else answer, port))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def running(held: World) -> World:
    """A world in which web-0 runs, as far as its process goes."""
    assert held.launch(document())[0]["ok"]
    return held


def http(port: int, **kw: Any) -> dict[str, Any]:
    return {"kind": "http", "port": port, "path": "/healthz", "interval": 50, "timeout": 300, **kw}


def tcp(port: int, **kw: Any) -> dict[str, Any]:
    return {"kind": "tcp", "port": port, "interval": 50, "timeout": 200, **kw}


def prove(world: World, *probes: dict[str, Any], enough: int = 0, deadline: int = 60_000) -> dict[str, Any]:
    return world.do("await-healthy", key=KEY, probes=list(probes), min_healthy_time=enough, healthy_deadline=deadline)


def test_an_answer_below_400_passes_and_is_told(running: World, backend: Any) -> None:
    for status in (b"200 OK", b"204 No Content", b"302 Found", b"399 Odd"):
        told = prove(running, http(backend(b"HTTP/1.0 " + status + b"\r\n\r\n").port, interval=60_000))
        assert told["healthy"]
        assert f"answered {status[:3].decode()}" in told["why"]
        assert told["took"] < 30_000


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answered 404"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "answered 503"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "answered 100"),
        (b"", "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-", "closed after 25 bytes"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "64 KiB"),
    ],
)
def test_other_answers_do_not_pass_and_say_why(running: World, backend: Any, answer: bytes, why: str) -> None:
    told = prove(running, http(backend(answer).port), deadline=600)
    assert not told["healthy"]
    assert why in told["why"]
    assert told["took"] < 30_000


def test_the_request_names_its_host_asks_for_the_path_and_ends_the_connection(running: World, backend: Any) -> None:
    made = backend()
    assert prove(running, http(made.port, path="/is it up?x=ü"))["healthy"]
    lines = made.requests[0].decode("ascii").split("\r\n")
    assert lines[0] == "GET /is%20it%20up?x=%C3%BC HTTP/1.1"
    assert f"Host: 127.0.0.1:{made.port}" in lines
    assert "Connection: close" in lines


def test_a_body_without_end_is_neither_read_nor_waited_for(running: World, backend: Any) -> None:
    def endless(_: bytes, __: int) -> None:
        connection = made.listener.accept()[0]
        with contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b"x" * 65536)

    made = backend(endless)
    with socket.create_connection(("127.0.0.1", made.port)) as first:
        first.sendall(b"x")
        assert prove(running, http(made.port, timeout=60_000))["took"] < 30_000


def test_what_accepts_and_never_answers_does_not_pass(running: World, backend: Any) -> None:
    made = backend(lambda *_: None)
    for probe in (http(made.port), tcp(made.port, send="ping\n", expect="pong")):
        told = prove(running, probe, deadline=500)
        assert not told["healthy"]
        assert "no answer within" in told["why"]
        assert 450 <= told["took"] < 30_000


def test_tcp_sends_and_finds_what_is_expected_anywhere_in_the_answer(running: World, backend: Any) -> None:
    made = backend(lambda request, _: b"+hello\n+pong 1\n" if request == b"ping\n" else b"no")
    assert prove(running, tcp(made.port, send="ping\n", expect="pong"))["healthy"]
    assert "closed after" in prove(running, tcp(made.port, send="pang\n", expect="pong"), deadline=600)["why"]


def test_a_guest_that_comes_up_is_seen_at_once(running: World, backend: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as placed:
        port = placed.getsockname()[1]
    timer = threading.Timer(0.1, backend, kwargs={"port": port})
    timer.start()
    told = prove(running, http(port, interval=60_000))
    assert told["healthy"]
    assert 95 <= told["took"] < 30_000


def test_a_first_connection_that_hangs_does_not_hide_the_guest_that_came_up(running: World, backend: Any) -> None:
    made = backend(lambda _, number: None if number == 1 else OK)
    told = prove(running, http(made.port, timeout=60_000, interval=60_000))
    assert told["healthy"]
    assert told["took"] < 30_000


def test_it_has_to_pass_for_the_whole_time_and_is_checked_at_its_interval(running: World, backend: Any) -> None:
    made = backend()
    told = prove(running, http(made.port, interval=400), enough=1800)
    assert told["healthy"]
    assert 1800 <= told["took"] < 30_000
    assert 5 <= len(made.times) <= 7
    # The last check comes after the time, not before.
    assert made.times[-1] - made.times[0] >= 1.79


def test_one_failure_begins_the_time_anew(running: World, backend: Any) -> None:
    made = backend(lambda _, number: OK if number != 5 else b"HTTP/1.1 500 No\r\n\r\n")
    told = prove(running, http(made.port, interval=50), enough=2000)
    assert told["healthy"]
    assert made.times[-1] - made.times[5] >= 1.99
    assert told["took"] >= 2150


def test_all_probes_have_to_pass_at_the_same_time(running: World, backend: Any) -> None:
    good, late = backend(), backend(lambda _, number: OK if number > 8 else b"HTTP/1.1 500 No\r\n\r\n")
    told = prove(running, http(good.port), http(late.port), enough=200)
    assert told["healthy"]
    assert good.times[-1] - late.times[8] >= 0.19
    told = prove(running, http(good.port), http(backend(b"x").port), enough=50, deadline=300)
    assert not told["healthy"]


def test_the_deadline_says_how_far_it_came(running: World, backend: Any) -> None:
    told = prove(running, http(backend().port), enough=50_000, deadline=3000)
    assert not told["healthy"]
    assert "of 50 s" in told["why"]
    assert 3000 <= told["took"] < 30_000


def test_the_console_is_searched_as_cleaned_text_and_a_find_stays(held: World) -> None:
    script = "printf 'boot\\033[1m: rea\\033[0mdy\\n'; exec sleep 1000"
    assert held.launch(document(argv=("/bin/sh", "-c", script)))[0]["ok"]
    assert prove(held, {"kind": "console", "pattern": "^boot: rea.y$", "interval": 50}, enough=100)["healthy"]
    told = prove(held, {"kind": "console", "pattern": "panic", "interval": 50}, deadline=100)
    assert not told["healthy"]
    assert "boot: ready" in told["why"]
    told = prove(held, {"kind": "console", "pattern": "(", "interval": 50}, deadline=100)
    assert "no regular expression" in told["why"]


def test_an_end_is_noticed_at_once_and_told_with_the_console(held: World) -> None:
    assert held.launch(document(argv=("/bin/sh", "-c", "echo no disk; sleep 0.2; exit 3")))[0]["ok"]
    with socket.create_server(("127.0.0.1", 0)) as placed:
        port = placed.getsockname()[1]
    told = prove(held, http(port), deadline=60_000)
    assert not told["healthy"]
    assert "failure" in told["why"]
    assert "status 3" in told["why"]
    assert "no disk" in told["why"]
    assert told["took"] < 30_000


def test_an_end_between_two_checks_is_not_healed_by_a_restart(held: World, backend: Any) -> None:
    argv = ("/bin/sh", "-c", "sleep 0.3; exit 1")
    assert held.launch(document(argv=argv, restart="always"))[0]["ok"]
    told = prove(held, http(backend().port), enough=50_000, deadline=60_000)
    assert not told["healthy"]
    assert told["took"] < 30_000


def test_without_a_probe_it_has_to_run_for_the_time(running: World, held: World) -> None:
    told = prove(running, enough=200)
    assert told["healthy"]
    assert "process only" in told["why"]
    assert 200 <= told["took"] < 30_000
    held.launch(document("web-1", argv=("/bin/sh", "-c", "sleep 0.1")))
    ask = {"key": "web-1.0123abcd", "probes": [], "min_healthy_time": 2000, "healthy_deadline": 5000}
    assert not held.do("await-healthy", **ask)["healthy"]


def test_udp_is_not_asked(running: World) -> None:
    assert "process only" in prove(running, {"kind": "udp", "port": 1})["why"]


def test_a_cancelled_wait_ends_at_once(running: World, backend: Any) -> None:
    call = Call(running.connection)
    threading.Timer(0.1, call.cancelled.set).start()
    began = time.monotonic()
    probe = http(backend().port, interval=60_000)
    ask = {"owner": OWNER, "key": KEY, "probes": [probe], "min_healthy_time": 60_000, "healthy_deadline": 60_000}
    with pytest.raises(errors.HostError) as caught:
        health.await_healthy(running.root, ask, call)
    assert caught.value.kind == "cancelled"
    assert time.monotonic() - began < 30


def test_an_instance_that_is_not_there_is_a_problem(held: World) -> None:
    with pytest.raises(errors.HostError) as caught:
        prove(held)
    assert caught.value.kind == "not-found"


def test_health_is_one_round_of_the_same_checks(running: World, backend: Any) -> None:
    made = backend()
    told = running.do("check-health", key=KEY, probes=[http(made.port), tcp(made.port, send="x", expect="200 OK")])
    assert told["healthy"]
    assert len(made.times) == 2
    told = running.do("check-health", key=KEY, probes=[http(backend(b"HTTP/1.1 500 No\r\n\r\n").port)])
    assert (told["healthy"], "answered 500" in told["why"]) == (False, True)
    assert running.do("check-health", key=KEY, probes=[])["healthy"]
    running.retire(KEY)


def test_health_of_what_ended_says_how(held: World) -> None:
    held.launch(document(argv=("/bin/false",)))
    held.until(KEY, "ended")
    told = held.do("check-health", key=KEY, probes=[])
    assert not told["healthy"]
    assert "status 1" in told["why"]


def test_two_hundred_gates_at_once_are_all_held_for_their_time_and_passed(running: World, backend: Any) -> None:
    made = backend()
    replies: list[dict[str, Any]] = []
    gates = [
        threading.Thread(
            target=lambda: replies.append(prove(running, http(made.port, interval=500, timeout=2000), enough=1000))
        )
        for _ in range(200)
    ]
    for each in gates:
        each.start()
    for each in gates:
        each.join()
    assert [reply["healthy"] for reply in replies] == [True] * 200
    assert min(reply["took"] for reply in replies) >= 1000


def hello(sha: str, port: int, *words: str) -> dict[str, Any]:
    """A real guest, its command line visible."""
    line = "unictl.name=web-0 net.ip=10.0.2.15/24 net.gateway=10.0.2.2" + (f" -- {' '.join(words)}" if words else "")
    argv = (
        "{qemu} -nodefaults -no-user-config -no-reboot -display none -m 8 -machine microvm,acpi=off "
        "-accel tcg -cpu max -device isa-debug-exit,iobase=0x501,iosize=4 -global virtio-mmio.force-legacy=off "
        f"-netdev user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:8080 -device virtio-net-device,netdev=n0 "
        "-chardev {console} -serial chardev:console "
        "-qmp unix:{run}/qmp,server=on,wait=off -pidfile {run}/pid "
        f"-kernel {{image:{sha}}}"
    )
    forward = {"name": "http", "guest": 8080, "host": port, "bind": "127.0.0.1", "udp": False}
    return document(
        argv=(*argv.split(), "-append", line), images=[sha], hypervisor="qemu", forwards=[forward], memory=8 << 20
    )


@pytest.mark.real
@pytest.mark.skipif(not shutil.which("qemu-system-x86_64") or not HELLO.exists(), reason="needs QEMU and the guest")
@pytest.mark.parametrize(
    ("words", "healthy", "why"),
    [
        ((), True, "answered 200"),
        (("--delay=400",), True, "answered 200"),
        (("--unhealthy-until=500",), True, "answered 200"),
        (("--mute",), False, "no answer within"),
        (("--hang-after=0",), False, "no answer within"),
        (("--unhealthy-after=300",), False, "answered 503"),
        (("--exit=7@300",), False, "status 15"),
    ],
)
def test_a_real_guest_is_judged_by_what_it_answers(
    held: World, words: tuple[str, ...], healthy: bool, why: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as placed:
        port = placed.getsockname()[1]
    # The folder of a test is closed to others; a store is not, and QEMU runs as somebody else.
    Path(held.root.path).chmod(0o711)
    assert held.launch(hello(held.stage(HELLO.read_bytes()), port, *words))[0]["ok"]
    told = prove(held, http(port, interval=100, timeout=500), enough=500, deadline=2500)
    assert (told["healthy"], why in told["why"]) == (healthy, True), told
