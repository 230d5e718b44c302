"""hello, a web service that is its own operating system: what it answers, how it ends, and that nothing kills it."""

from __future__ import annotations

import hashlib
import json
import random
import re
import selectors
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.playbooks.machine import BUILD, DEADLINE, HELLO, PROBE, REPOSITORY, Hello, free_port, wait_for

pytestmark = pytest.mark.real

Start = Callable[..., Hello]
Take = Callable[[Hello], Hello]

GET = b"GET / HTTP/1.1\r\nHost: front\r\n\r\n"


# --- the build ---


def test_a_build_gives_the_committed_bytes() -> None:
    checked = subprocess.run([sys.executable, str(BUILD), "--check"], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_build_in_another_place_gives_the_same_bytes(tmp_path: Path) -> None:
    elsewhere = tmp_path / "some where" / "else"
    shutil.copytree(BUILD.parent, elsewhere / "playbooks/hello/src")
    build = elsewhere / "playbooks/hello/src/build"
    subprocess.run([sys.executable, str(build), "--out", str(tmp_path)], check=True, cwd=tmp_path)
    assert digest(tmp_path / "hello.elf") == digest(HELLO)
    assert digest(tmp_path / "probe.elf") == digest(PROBE)


def test_a_check_names_the_image_that_differs(tmp_path: Path) -> None:
    shutil.copytree(BUILD.parent, tmp_path / "playbooks/hello/src")
    shutil.copy(HELLO, tmp_path / "playbooks/hello/hello.elf")
    build = tmp_path / "playbooks/hello/src/build"
    checked = subprocess.run([sys.executable, str(build), "--check"], check=False, capture_output=True, text=True)
    assert checked.returncode == 1
    assert "unictl/onhost/hypervisors/qemu/probe.elf" in checked.stdout
    assert "hello.elf" not in checked.stdout


def test_no_path_of_the_building_machine_is_in_the_images() -> None:
    for image in (HELLO, PROBE):
        content = image.read_bytes()
        assert str(REPOSITORY).encode() not in content
        assert b"/tmp/" not in content


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- start and pages ---


def test_the_console_tells_name_generation_and_address_and_then_the_port(hello: Start) -> None:
    guest = hello()
    assert guest.console().splitlines()[:2] == [
        "hello: front-0 generation 7f3c9a1b at 10.0.2.15",
        "hello: listening on :8080",
    ]


def test_the_page_tells_who_answered(hello: Start) -> None:
    status, body = hello("--greeting=hi", name="front-12").ask("/")
    assert status == 200
    lines = body.splitlines()
    assert lines[:5] == [
        "hello from front-12", "greeting: hi", "ordinal: 12", "generation: 7f3c9a1b", "args: --greeting=hi",
    ]  # fmt: skip
    assert re.fullmatch(r"uptime_ms: \d+", lines[5])


def test_the_page_as_json_tells_the_same(hello: Start) -> None:
    facts = hello("--greeting=hi", name="front-3", settings="MODE=fast").facts()
    assert facts.pop("uptime_ms") < 15000
    assert facts == {
        "name": "front-3", "ordinal": 3, "generation": "7f3c9a1b", "greeting": "hi", "args": ["--greeting=hi"],
        "environment": ["MODE"],
    }  # fmt: skip


def test_quotes_group_words(hello: Start) -> None:
    guest = hello("'--greeting=good  day, all'", settings="MOTTO='less is more'")
    assert guest.facts()["greeting"] == "good  day, all"
    assert "args: '--greeting=good  day, all'" in guest.ask("/")[1]
    assert guest.facts()["environment"] == ["MOTTO"]


def test_a_value_of_the_environment_is_never_shown(hello: Start) -> None:
    guest = hello(settings="PASSWORD=correct-horse")
    assert "correct-horse" not in guest.ask("/")[1] + guest.ask("/json")[1] + guest.console()


def test_words_may_come_as_a_boot_module_where_the_command_line_is_too_short(hello: Start) -> None:
    long = "x" * 3500
    guest = hello(append="", module=f"unictl.name=long-1 net.ip=10.0.2.15/24 LONG={long} -- --greeting=here\n")
    assert guest.facts()["greeting"] == "here"
    assert guest.facts()["ordinal"] == 1


def test_healthz_is_ok(hello: Start) -> None:
    assert hello().ask("/healthz") == (200, "ok\n")


def test_an_unknown_page_is_404_and_a_wrong_method_405(hello: Start) -> None:
    guest = hello()
    assert guest.ask("/nothing")[0] == 404
    assert guest.ask("/", "DELETE")[0] == 405
    assert guest.ask("/behave/mute")[0] == 405
    assert guest.ask("/behave/dance", "POST")[0] == 404


def test_each_request_is_on_the_console_when_asked_for(hello: Start) -> None:
    guest = hello("--log")
    guest.ask("/healthz?quick=1")
    guest.wait_for_line("GET /healthz 200")


def test_three_mebibytes_are_enough(hello: Start) -> None:
    assert hello(memory=3).ask("/healthz")[0] == 200


def test_the_first_answer_comes_within_two_hundred_milliseconds_of_the_start(hello: Start) -> None:
    def once() -> float:
        guest = hello()
        assert guest.ask("/")[0] == 200
        return time.monotonic() - guest.started

    assert min(once() for _ in range(5)) < 0.2


def test_an_idle_guest_costs_nothing(hello: Start) -> None:
    guest = hello()
    guest.ask("/")

    def spent() -> int:
        fields = Path(f"/proc/{guest.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = spent()
    with pytest.raises(subprocess.TimeoutExpired):
        guest.process.wait(2)
    assert spent() - before <= 4  # hundredths of a second


# --- the counter ---


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(bytes(1 << 16))
    return path


def count(guest: Hello) -> int:
    number = guest.facts()["count"]
    assert isinstance(number, int)
    return number


def test_the_counter_starts_at_nothing_and_counts_each_visit(hello: Start, disk: Path) -> None:
    guest = hello("--count", disk=disk)
    assert [count(guest) for _ in range(3)] == [1, 2, 3]
    assert "count: 4" in guest.ask("/")[1]


def test_health_checks_and_heads_are_no_visits(hello: Start, disk: Path) -> None:
    guest = hello("--count", disk=disk)
    guest.ask("/healthz")
    guest.ask("/", "HEAD")
    assert count(guest) == 1


def test_the_counter_survives_kill_9(hello: Start, disk: Path) -> None:
    for expected in (1, 2, 3):
        guest = hello("--count", disk=disk)
        assert count(guest) == expected
        guest.kill()


def test_what_was_answered_under_load_is_on_the_disk_after_kill_9(hello: Start, disk: Path) -> None:
    guest = hello("--count", disk=disk)
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: count(guest), range(80)))
    guest.kill()
    assert sorted(numbers) == list(range(1, 81))
    assert count(hello("--count", disk=disk)) == 81


@pytest.mark.parametrize("block", [0, 1])
def test_a_torn_write_costs_at_most_the_number_that_was_not_answered(hello: Start, disk: Path, block: int) -> None:
    guest = hello("--count", disk=disk)
    assert [count(guest) for _ in range(4)] == [1, 2, 3, 4]
    guest.kill()
    content = bytearray(disk.read_bytes())
    content[block * 4096 + 20] ^= 0x40
    disk.write_bytes(content)
    assert count(hello("--count", disk=disk)) in (4, 5)


def test_a_disk_of_somebody_else_is_left_alone(tmp_path: Path, started: Take, disk: Path) -> None:
    disk.write_bytes(b"precious" * 8192)
    guest = started(Hello(tmp_path, "--count", disk=disk))
    assert guest.wait_for_exit() == 65 * 2 + 1
    assert "something else" in guest.console()
    assert disk.read_bytes() == b"precious" * 8192


# --- calling another service ---


@pytest.mark.parametrize("argument", ["counter", "call"])
def test_the_answer_of_the_service_called_is_passed_on(hello: Start, disk: Path, argument: str) -> None:
    counter = hello("--count", name="counter-0", disk=disk)
    front = hello(f"--{argument}=10.0.2.2:{counter.port}")
    lines = front.ask("/")[1].splitlines()
    assert f"{argument}: 10.0.2.2:{counter.port}" in lines
    assert "  hello from counter-0" in lines
    assert "  count: 1" in lines
    called = front.facts()[argument]
    assert called["address"] == f"10.0.2.2:{counter.port}"
    assert "count: 2\n" in called["answer"]


def test_many_callers_at_once_are_all_answered(hello: Start, disk: Path) -> None:
    counter = hello("--count", name="counter-0", disk=disk)
    front = hello(f"--counter=10.0.2.2:{counter.port}")
    front.ask("/")
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda _: front.ask("/")[0], range(60)))
    assert statuses == [200] * 60


def test_a_silent_service_is_502_with_a_sentence_after_two_seconds(hello: Start) -> None:
    silent = hello("--mute")
    front = hello(f"--call=10.0.2.2:{silent.port}")
    begun = time.monotonic()
    assert front.ask("/") == (502, f"10.0.2.2:{silent.port} did not answer within 2 seconds\n")
    assert 1.9 < time.monotonic() - begun < 4
    assert front.ask("/healthz")[0] == 200


def test_an_absent_service_is_502_at_once(hello: Start) -> None:
    port = free_port()
    front = hello(f"--call=10.0.2.2:{port}")
    status, body = front.ask("/")
    assert status == 502
    assert f"10.0.2.2:{port}" in body


@pytest.fixture
def stranger() -> Iterator[Callable[[bytes], int]]:
    """A server of the test's own that answers each connection with the bytes given, and closes."""
    listeners: list[socket.socket] = []

    def serve(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def answer_all() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        threading.Thread(target=answer_all, daemon=True).start()
        return int(listener.getsockname()[1])

    yield serve
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"SSH-2.0-x\r\n", "did not answer with HTTP"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "answered with status 503"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "before its answer was whole"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 9000, "more than 4096 bytes"),
        (b"", "before its answer was whole"),
    ],
)
def test_an_answer_that_cannot_be_passed_on_is_502_and_says_why(
    hello: Start, stranger: Callable[[bytes], int], answer: bytes, says: str
) -> None:
    front = hello(f"--call=10.0.2.2:{stranger(answer)}")
    status, body = front.ask("/")
    assert (status, says in body) == (502, True), body


def test_hostile_bytes_in_a_passed_on_answer_are_still_json(hello: Start, stranger: Callable[[bytes], int]) -> None:
    port = stranger(b'HTTP/1.1 200 OK\r\n\r\n"\\\xff\xc3\x28\x00\xe2\x82\xac\n')
    front = hello(f"--call=10.0.2.2:{port}")
    assert front.facts()["call"]["answer"] == '"\\\ufffd\ufffd(\x00\u20ac\n'


# --- behaviours ---


def test_delay_holds_back_listening(hello: Start) -> None:
    guest = hello("--delay=400")
    assert guest.facts()["uptime_ms"] >= 400


def test_it_is_unhealthy_until_a_moment(hello: Start) -> None:
    guest = hello("--unhealthy-until=500")
    assert guest.ask("/healthz") == (503, "unhealthy\n")
    wait_for(lambda: guest.ask("/healthz")[0] == 200, "health")
    assert guest.facts()["uptime_ms"] >= 500


def test_it_is_unhealthy_after_a_moment(hello: Start) -> None:
    guest = hello("--unhealthy-after=700")
    wait_for(lambda: guest.ask("/healthz")[0] == 503, "failing health")
    assert guest.facts()["uptime_ms"] >= 700


def test_health_can_be_taken_and_given_back(hello: Start) -> None:
    guest = hello()
    assert guest.ask("/behave/unhealthy", "POST")[0] == 200
    assert guest.ask("/healthz")[0] == 503
    assert guest.ask("/behave/healthy", "POST")[0] == 200
    assert guest.ask("/healthz")[0] == 200


@pytest.mark.parametrize("way", ["argument", "request"])
def test_a_mute_guest_accepts_and_says_nothing(hello: Start, way: str) -> None:
    guest = hello(*(["--mute"] if way == "argument" else []))
    if way == "request":
        assert guest.ask("/behave/mute", "POST")[0] == 200
    with guest.connect() as s:
        s.sendall(GET)
        s.settimeout(0.5)
        with pytest.raises(TimeoutError):
            s.recv(1)
    assert guest.running()


@pytest.mark.parametrize(
    ("argument", "code", "line"),
    [
        ("--crash-after=100", 0, "crashes"),
        ("--exit=0", 1, "exits with 0"),
        ("--exit=3", 7, "exits with 3"),
        ("--exit=127@100", 255, "exits with 127"),
    ],
)
def test_it_ends_as_told_by_an_argument(tmp_path: Path, started: Take, argument: str, code: int, line: str) -> None:
    guest = started(Hello(tmp_path, argument))
    assert guest.wait_for_exit() == code
    assert f"hello: {line}" in guest.console().splitlines()


@pytest.mark.parametrize(("path", "code"), [("crash", 0), ("exit/0", 1), ("exit/5", 11)])
def test_it_ends_as_told_by_a_request_and_still_answers_it(hello: Start, path: str, code: int) -> None:
    guest = hello()
    assert guest.ask(f"/behave/{path}", "POST") == (200, f"{path}\n")
    assert guest.wait_for_exit() == code


@pytest.mark.parametrize("way", ["argument", "request"])
def test_a_hanging_guest_stays_and_is_deaf(hello: Start, way: str) -> None:
    guest = hello(*(["--hang-after=300"] if way == "argument" else []))
    if way == "request":
        guest.ask("/behave/hang", "POST")
    guest.wait_for_line("hello: hangs")
    with guest.connect() as s:
        s.sendall(GET)
        s.settimeout(0.5)
        with pytest.raises(TimeoutError):
            s.recv(1)
    assert guest.running()


@pytest.mark.parametrize("way", ["argument", "request"])
def test_a_flood_fills_the_console_and_the_guest_still_answers(hello: Start, way: str) -> None:
    guest = hello(*(["--flood"] if way == "argument" else []))
    if way == "request":
        guest.ask("/behave/flood", "POST")
    wait_for(lambda: guest.console_file.stat().st_size > 200_000, "flood")
    assert guest.ask("/healthz")[0] == 200


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-- --wrong", "unknown argument: --wrong"),
        ("-- stray", "unknown argument: stray"),
        ("-- --port=0", "wants a port: --port=0"),
        ("-- --delay=soon", "wants a number of milliseconds: --delay=soon"),
        ("-- --exit=128", "wants CODE or CODE@MILLISECONDS"),
        ("-- --call=example.org:80", "wants IPV4-ADDRESS:PORT"),
        ("-- --count", "--count needs a disk"),
        ("-- 'open", "a quote does not end"),
        ("stray", "a word before -- is not KEY=VALUE: stray"),
        ("net.ip=10.0.2.300/24", "net.ip is not ADDRESS/BITS"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line_and_ends_with_64(
    tmp_path: Path, started: Take, words: str, says: str
) -> None:
    guest = started(Hello(tmp_path, append=f"unictl.name=front-0 {words}"))
    assert guest.wait_for_exit() == 64 * 2 + 1
    assert says in guest.console()


def test_without_an_address_it_runs_and_says_that_it_does_not_listen(tmp_path: Path, started: Take) -> None:
    guest = started(Hello(tmp_path, append="unictl.name=job-0 -- --exit=2@50"))
    assert guest.wait_for_exit() == 5
    assert "net.ip is not given, so it does not listen" in guest.console()


# --- the protocol ---


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTQ/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 5000 + b"\r\n\r\n", 431),
        (b"G" * 6000, 431),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET / HTTP/1.1\nHost: a\n\n", 200),
        (b"GET http://front/healthz?a=b HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    ],
)
def test_requests_get_the_status_they_deserve(steady: Hello, request_bytes: bytes, status: int) -> None:
    assert steady.say(request_bytes).split(b"\r\n")[0].startswith(b"HTTP/1.1 %d " % status)


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hello]:
    """One guest for all tests that only ask."""
    guest = Hello(tmp_path_factory.mktemp("steady"), memory=16).ready()
    yield guest
    guest.kill()


def test_pipelined_requests_are_answered_in_order(steady: Hello) -> None:
    asked = b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in (b"/healthz", b"/json", b"/no"))
    statuses = re.findall(rb"HTTP/1.1 (\d+)", steady.say(asked * 20))
    assert statuses == [b"200", b"200", b"404"] * 20


def test_a_request_may_come_byte_by_byte(steady: Hello) -> None:
    with steady.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(GET)):
            s.sendall(GET[i : i + 1])
        assert s.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_connection_serves_many_requests(steady: Hello) -> None:
    with steady.connect() as s:
        for _ in range(500):
            s.sendall(GET)
            assert s.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_body_is_read_over_and_the_next_request_found(steady: Hello) -> None:
    body = b"GET /nothing HTTP/1.1\r\n\r\n" * 1000
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    assert re.findall(rb"HTTP/1.1 (\d+)", steady.say(post + GET)) == [b"405", b"200"]


def test_a_connection_is_closed_when_asked_for(steady: Hello) -> None:
    with steady.connect() as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = b""
        while part := s.recv(4096):
            received += part
    assert b"Connection: close\r\n" in received


def test_a_reader_that_takes_its_time_gets_every_byte(steady: Hello) -> None:
    wanted = 3000
    with steady.connect() as s:
        sender = threading.Thread(target=s.sendall, args=(GET * wanted,))
        sender.start()
        assert_blocked(sender)  # nobody reads: every window between here and the guest has closed
        received = 0
        while received < wanted:
            part = s.recv(1 << 20)
            assert part
            received += part.count(b"uptime_ms")
        sender.join(DEADLINE)
    assert received == wanted


def assert_blocked(thread: threading.Thread) -> None:
    thread.join(1)


def test_two_hundred_connections_at_once_are_all_served(steady: Hello) -> None:
    connections = [steady.connect_accepted() for _ in range(200)]
    try:
        for s in reversed(connections):
            s.sendall(GET)
        assert all(s.recv(4096).startswith(b"HTTP/1.1 200 ") for s in connections)
    finally:
        for s in connections:
            s.close()


def test_two_thousand_short_connections_leave_room_for_the_next(steady: Hello) -> None:
    for _ in range(2000):
        with steady.connect() as s:
            s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert s.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_hostile_bytes_never_kill_it(steady: Hello) -> None:
    dice = random.Random(20240229)
    for _ in range(300):
        steady.say(hostile(dice))
    assert steady.ask("/healthz") == (200, "ok\n")


def hostile(dice: random.Random) -> bytes:
    """Noise, or a right request with some of its bytes cut, doubled, moved or overwritten."""
    if dice.random() < 0.3:
        return dice.randbytes(dice.choice([1, 10, 100, 1000, 5000, 9000]))
    right = b"POST /behave/nothing?x HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nA: b\r\n\r\nhello, world"
    request = bytearray(right * 3)
    for _ in range(dice.randrange(1, 12)):
        at = dice.randrange(len(request))
        match dice.randrange(4):
            case 0:
                request[at] = dice.randrange(256)
            case 1:
                del request[at : at + dice.randrange(30)]
            case 2:
                request[at:at] = request[: dice.randrange(60)]
            case _:
                request[at:at] = dice.choice([b"\r\n", b"\x00", b":", b" ", b"\xff" * 40, b"9" * 30, b"HTTP/1.1"])
        request = request or bytearray(b"G")
    return bytes(request)


def test_clients_that_vanish_in_the_middle_leave_no_trace(hello: Start, disk: Path) -> None:
    counter = hello("--count", name="counter-0", disk=disk)
    front = hello(f"--counter=10.0.2.2:{counter.port}")
    reset_at_once = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    for _ in range(150):
        with front.connect_accepted() as s:
            s.sendall(GET)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_at_once)
    assert front.ask("/")[0] == 200
    assert json.loads(front.ask("/json")[1])["name"] == "front-0"


# --- load ---

load_tools_present = pytest.mark.skipif(
    not (shutil.which("wrk") and shutil.which("haproxy")), reason="wrk and haproxy are needed"
)


@pytest.fixture
def balanced(hello: Start, tmp_path: Path) -> Iterator[int]:
    """The port of a HAProxy before three guests."""
    port = free_port()
    servers = "".join(f"  server s{i} 127.0.0.1:{hello().port} check\n" for i in range(3))
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(
        "defaults\n  mode http\n  timeout client 30s\n  timeout server 30s\n"
        # QEMU queues one new connection at a time and the system drops the others' greeting: knock again soon
        "  timeout connect 200ms\n  retries 10\n"
        f"frontend f\n  bind 127.0.0.1:{port}\n  default_backend b\n"
        f"backend b\n  option httpchk GET /healthz\n{servers}"
    )
    process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(configuration)])
    wait_for(lambda: answers(port), "proxy")
    yield port
    process.terminate()
    process.wait()


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def load_by_wrk(port: int, seconds: int) -> str:
    command = ["wrk", "-t", "2", "-c", "64", "-d", f"{seconds}s", f"http://127.0.0.1:{port}/"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def assert_nothing_failed(output: str) -> None:
    assert "Socket errors" not in output, output
    assert "Non-2xx" not in output, output
    requests = re.search(r"(\d+) requests in", output)
    assert requests and int(requests[1]) > 1000, output


def slowest_under_load(guest: Hello, seconds: float) -> float:
    """64 connections, each of which asks again as soon as it was answered; the longest wait, every answer checked.

    Not with wrk: it knocks 64 times at once, and those that the system drops wait for it, not for the guest.
    """
    selector = selectors.DefaultSelector()
    asked: dict[socket.socket, float] = {}
    for _ in range(64):
        connection = guest.connect_accepted()
        selector.register(connection, selectors.EVENT_READ)
        asked[connection] = time.monotonic()
        connection.sendall(GET)
    slowest, end = 0.0, time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        for key, _ in selector.select(1):
            answered = key.fileobj
            assert isinstance(answered, socket.socket)
            assert answered.recv(4096).startswith(b"HTTP/1.1 200 ")
            slowest = max(slowest, now - asked[answered])
            asked[answered] = now
            answered.sendall(GET)
    for connection in asked:
        slowest = max(slowest, end - asked[connection])
        connection.close()
    return slowest


@load_tools_present
def test_three_seconds_of_load_through_a_proxy_fail_nothing(balanced: int) -> None:
    assert_nothing_failed(load_by_wrk(balanced, 3))


def test_three_seconds_of_load_leave_nobody_waiting(hello: Start) -> None:
    assert slowest_under_load(hello(), 3) < 1


@load_tools_present
@pytest.mark.soak
def test_a_minute_of_load_through_a_proxy_fails_nothing(balanced: int) -> None:
    assert_nothing_failed(load_by_wrk(balanced, 60))


@pytest.mark.soak
def test_a_minute_of_load_leaves_nobody_waiting(hello: Start) -> None:
    assert slowest_under_load(hello(), 60) < 1
