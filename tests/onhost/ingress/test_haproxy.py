"""The ingress, with a real HAProxy and small HTTP servers as instances: nothing lost, nothing shared, nothing left."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.onhost.test_crash_law import killed
from tests.onhost.world import OWNER, Call, World, document, short_folder
from unictl.fleet.model import Probe
from unictl.onhost import errors
from unictl.onhost.handlers import ingress
from unictl.onhost.ingress import haproxy, ingress_ports, ingress_status, ingress_watcher
from unictl.onhost.platform import privileges, processes
from unictl.onhost.storage import atomic, guarded_read, layout
from unictl.onhost.supervision import supervisor
from unictl.plan.ingress.config_diff import parse_facts
from unictl.plan.ingress.haproxy_config import config_digest, render
from unictl.plan.model.ingress import Listener, Server

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="needs HAProxy")

CHECK = Probe(kind="http", path="/healthz", interval=100, timeout=500)


class Handler(BaseHTTPRequestHandler):
    """Answers with its server's name; ``empty`` closes without an answer, ``gate`` holds the answer back."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Backend"

    def do_GET(self) -> None:
        if self.path != "/healthz":
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.server.requests.append(self.command)
            if self.server.empty:
                self.close_connection = True
                return
            self.server.begun.set()
            self.server.gate.wait(10)
        body = self.server.name.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - as http.server spells it

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self.connection)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


class Backend(ThreadingHTTPServer):
    """An instance, as far as an ingress can tell."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str):
        super().__init__(("127.0.0.1", 0), Handler)
        self.name = name
        self.requests: list[str] = []
        self.connections: list[socket.socket] = []
        self.empty = False
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, *_: Any) -> None:
        """A connection cut by a test."""

    def kill(self) -> None:
        """What the death of a process does: nobody listens, every connection is cut."""
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def member(self) -> Server:
        return Server(name=self.name, address="127.0.0.1", port=self.port)


class Ingress:
    """The ingress of one fleet, as the control side uses it."""

    def __init__(self, world: World):
        self.world = world
        self.place = haproxy.IngressPaths(world.root, OWNER)

    def put(self, *listeners: Listener, wait: int = 0) -> dict[str, Any]:
        written = render(OWNER, listeners)
        return self.world.do("apply-ingress", text=written, hash=config_digest(written), wait=wait)

    def survey(self) -> dict[str, Any]:
        return ingress_status.current_status(self.world.root, OWNER)

    def pids(self) -> list[int]:
        found = haproxy.ingress_processes(self.place)
        pids = list(found)
        haproxy.close_all(found)
        return pids

    def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 5) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while not wanted(told := self.survey()):
            assert time.monotonic() < deadline, told
            time.sleep(0.01)
        return told


@pytest.fixture
def gate(held: World) -> Iterator[Ingress]:
    made = Ingress(held)
    yield made
    made.put()
    assert made.pids() == []


@pytest.fixture
def backends() -> Iterator[Callable[..., list[Backend]]]:
    made: list[Backend] = []

    def make(*names: str) -> list[Backend]:
        new = [Backend(name) for name in names]
        made.extend(new)
        return new

    yield make
    for backend in made:
        backend.gate.set()
        with contextlib.suppress(OSError):
            backend.kill()


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def listener(port: int, *members: Backend, name: str = "api.http", **kw: Any) -> Listener:
    settings: dict[str, Any] = {"bind": "127.0.0.1", "mode": "http", "check": CHECK, "drain": 3000, **kw}
    return Listener(name=name, port=port, servers=tuple(each.member() for each in members), **settings)


def fetch(port: int, method: str = "GET", body: bytes | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, "/", body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def problem(of: Callable[[], Any]) -> errors.HostError:
    with pytest.raises(errors.HostError) as caught:
        of()
    return caught.value


def test_every_member_gets_its_share_and_the_survey_tells_what_is_in_force(gate: Ingress, backends: Any) -> None:
    port, three = free_port(), backends("api-0.aa", "api-1.bb", "api-2.cc")
    assert gate.survey() == {"state": "absent", "hash": "", "since": 0.0, "servers": {}}
    assert gate.put(listener(port, *three)) == {"changed": True, "drained": True}
    assert sorted(fetch(port)[1] for _ in range(6)) == sorted(["api-0.aa", "api-1.bb", "api-2.cc"] * 2)
    told = gate.survey()
    assert told["state"] == "running"
    assert told["hash"] == config_digest(render(OWNER, [listener(port, *three)]))
    assert told["servers"] == dict.fromkeys(("api-0.aa", "api-1.bb", "api-2.cc"), "UP")
    assert abs(told["since"] - time.time()) < 10


def test_what_is_in_force_is_told_without_its_servers(gate: Ingress, backends: Any) -> None:
    assert gate.world.do("ingress-config") == {"text": "", "hash": ""}
    wished = listener(free_port(), *backends("api-0.aa"))
    gate.put(wished)
    told = gate.world.do("ingress-config")
    assert told["hash"] == gate.survey()["hash"] and "api-0.aa" not in told["text"]
    assert parse_facts(told["text"]) == parse_facts(render(OWNER, [wished]))


def test_what_is_in_force_already_is_not_touched(gate: Ingress, backends: Any) -> None:
    wished = listener(free_port(), *backends("api-0.aa"))
    gate.put(wished)
    before = gate.pids()
    assert gate.put(wished) == {"changed": False, "drained": True}
    assert gate.pids() == before


def test_fifty_reloads_under_load_lose_no_request(gate: Ingress, backends: Any) -> None:
    port, two = free_port(), backends("api-0.aa", "api-1.bb")
    gate.put(listener(port, *two))
    stop = threading.Event()
    failures: list[Exception] = []
    answers: list[int] = []

    def anew() -> None:
        while not stop.wait(0.002):
            try:
                answers.append(fetch(port)[0])
            except OSError as error:
                failures.append(error)

    def kept() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while not stop.wait(0.002):
            try:
                # http.client opens a new connection where the answer before announced the end of the old one.
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                answers.append(answer.status)
            except (OSError, http.client.HTTPException) as error:
                failures.append(error)
                connection.close()

    clients = [threading.Thread(target=client) for client in (anew, anew, kept, kept)]
    for client in clients:
        client.start()
    replies = [gate.put(listener(port, two[n % 2]), wait=5000) for n in range(50)]
    stop.set()
    for client in clients:
        client.join()
    assert failures == []
    assert set(answers) == {200}
    assert replies == [{"changed": True, "drained": True}] * 50
    assert len(gate.pids()) == 1


def test_reloads_that_do_not_wait_for_one_another_end_with_the_last(gate: Ingress, backends: Any) -> None:
    port, two = free_port(), backends("api-0.aa", "api-1.bb")
    # There and back again: the one before may still answer at the control socket, and must not be believed.
    replies = [gate.put(listener(port, two[n % 2])) for n in range(20)]
    assert [reply["changed"] for reply in replies] == [True] * 20
    assert {fetch(port)[1] for _ in range(4)} == {"api-1.bb"}
    assert gate.put(listener(port, two[1]), wait=5000) == {"changed": False, "drained": True}
    assert len(gate.pids()) == 1


def test_a_member_that_dies_while_idle_costs_no_client_an_error(gate: Ingress, backends: Any) -> None:
    port, two = free_port(), backends("api-0.aa", "api-1.bb")
    gate.put(listener(port, *two, check=Probe(kind="http", path="/healthz", interval=60_000)))
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(method: str) -> int:
        client.request(method, "/", b"x" if method == "POST" else None)
        answer = client.getresponse()
        answer.read()
        return answer.status

    assert [ask("GET") for _ in range(4)] == [200] * 4
    two[0].kill()
    # The check has not noticed yet: what saves these is the retry, elsewhere and at once.
    began = time.monotonic()
    assert [ask("GET") for _ in range(10)] + [ask("POST") for _ in range(10)] == [200] * 20
    assert time.monotonic() - began < 3
    client.close()


def test_an_empty_answer_is_asked_again_only_where_repeating_does_no_harm(gate: Ingress, backends: Any) -> None:
    port, two = free_port(), backends("api-0.aa", "api-1.bb")
    two[0].empty = True
    gate.put(listener(port, *two))
    assert [fetch(port) for _ in range(4)] == [(200, "api-1.bb")] * 4
    assert two[0].requests == ["GET"] * len(two[0].requests) != []
    assert sorted({fetch(port, "POST", b"order")[0] for _ in range(2)}) == [200, 502]
    assert [two[0].requests.count("POST"), two[1].requests.count("POST")] == [1, 1]


def test_a_service_without_members_listens_and_says_so(gate: Ingress) -> None:
    port = free_port()
    gate.put(listener(port))
    assert fetch(port)[0] == 503


def test_a_member_that_accepts_and_never_answers_is_left_out(gate: Ingress, backends: Any) -> None:
    port, (good,) = free_port(), backends("api-0.aa")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = Server(name="api-1.bb", address="127.0.0.1", port=mute.getsockname()[1])
        check = Probe(kind="tcp", send="GET /healthz HTTP/1.0\r\n\r\n", expect="200 OK", interval=50, timeout=100)
        made = Listener(
            name="api.raw", bind="127.0.0.1", port=port, servers=(good.member(), silent), check=check, mode="tcp"
        )
        gate.put(made)
        gate.until(lambda told: told["servers"] == {"api-0.aa": "UP", "api-1.bb": "DOWN"})
        assert [fetch(port) for _ in range(4)] == [(200, "api-0.aa")] * 4


def test_a_port_that_another_program_has_is_named_with_it_and_the_old_ingress_stays(
    gate: Ingress, backends: Any
) -> None:
    port, (one,) = free_port(), backends("api-0.aa")
    gate.put(listener(port, one))
    before = gate.survey()["hash"]
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        taken = foreign.getsockname()[1]
        told = problem(lambda: gate.put(listener(port, one), listener(taken, one, name="web", bind="*")))
    assert told.kind == "taken"
    assert f"*:{taken}" in told.text
    assert f"(pid {os.getpid()})" in told.text
    assert gate.survey()["hash"] == before
    assert fetch(port)[0] == 200


def test_a_port_of_another_fleet_is_not_shared(gate: Ingress, backends: Any) -> None:
    port, (one,) = free_port(), backends("api-0.aa")
    gate.put(listener(port, one))
    other = World(short_folder())
    try:
        other.acquire()
        told = problem(lambda: Ingress(other).put(listener(port, one)))
        assert told.kind == "taken"
        assert "haproxy" in told.text
        assert not Ingress(other).pids()
    finally:
        other.close()


def test_what_another_fleet_is_to_listen_on_is_taken_even_while_nothing_listens(gate: Ingress) -> None:
    port = free_port()
    gate.put(listener(port))
    for pid in gate.pids():
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(errors.HostError, match=rf"\*:{port}, which is held by the ingress of fleet {OWNER}"):
        ingress_ports.check_claims(
            gate.world.root, [("", port)], {OWNER: ingress_status.configured_ports(gate.world.root, OWNER)}
        )


def test_one_that_does_not_start_leaves_no_claim_and_what_was_there_before(
    gate: Ingress, backends: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port is taken between the check and the start: told by HAProxy alone."""
    port, (one,) = free_port(), backends("api-0.aa")
    monkeypatch.setattr(ingress_ports, "check_free", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        taken = listener(foreign.getsockname()[1], one, name="web")
        assert "did not start" in problem(lambda: gate.put(taken)).text
        assert gate.survey()["state"] == "absent"
        assert ingress_status.configured_ports(gate.world.root, OWNER) == []
        gate.put(listener(port, one))
        before = gate.survey()["hash"]
        assert "did not start" in problem(lambda: gate.put(listener(port, one), taken)).text
        assert ingress_status.configured_ports(gate.world.root, OWNER) == [("127.0.0.1", port)]
    assert gate.survey()["hash"] == before
    assert fetch(port) == (200, "api-0.aa")


def test_who_was_never_behind_it_is_out_without_a_port_that_another_program_has(gate: Ingress, backends: Any) -> None:
    port, (one, two) = free_port(), backends("api-0.aa", "api-1.aa")
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        emptied = render(OWNER, [listener(foreign.getsockname()[1], name="web")])

        def leave(*keys: str) -> dict[str, Any]:
            return gate.world.do("apply-ingress", text=emptied, hash=config_digest(emptied), wait=0, out=list(keys))

        assert leave("web-0.bb") == {"changed": False, "drained": True}
        assert gate.survey()["state"] == "absent"
        gate.put(listener(port, one, two))
        assert leave("web-0.bb") == {"changed": False, "drained": True}
        assert problem(lambda: leave("web-0.bb", "api-1.aa")).kind == "taken"


def test_where_it_died_and_its_ports_are_taken_somebody_may_leave_all_the_same_and_nobody_join(
    gate: Ingress, backends: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, (one, two) = free_port(), backends("api-0.aa", "api-1.aa")
    gate.put(listener(port, one, two))
    # Nobody may start it again before its port is taken.
    gate.world.kill_supervisor()
    for pid in gate.pids():
        os.kill(pid, signal.SIGKILL)
    gate.until(lambda told: told["state"] == "dead")
    with socket.create_server(("127.0.0.1", port)):
        less = render(OWNER, [listener(port, one)])

        def leave(wished: str = less) -> dict[str, Any]:
            return gate.world.do("apply-ingress", text=wished, hash=config_digest(wished), wait=5000, leaves=True)

        assert leave() == {"changed": True, "drained": True}
        assert "api-1.aa" not in gate.place.read_config()
        more = render(OWNER, [listener(port, one), listener(free_port(), name="web")])
        assert problem(lambda: leave(more)).kind == "taken"
        assert problem(lambda: gate.put(listener(port, one))).kind == "taken"
        monkeypatch.setattr(haproxy, "program", lambda: "")
        assert leave() == {"changed": True, "drained": True}


def test_an_address_that_could_not_be_moved_is_served_as_before(
    gate: Ingress, backends: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, (one,) = free_port(), backends("api-0.aa")
    gate.put(listener(port, one))
    before = gate.survey()["hash"]
    start, starts = haproxy.start, []

    def second_fails(*words: Any, **more: Any) -> None:
        starts.append(words)
        if len(starts) == 2:
            raise errors.HostError("failed", "HAProxy did not start: no")
        start(*words, **more)

    monkeypatch.setattr(haproxy, "start", second_fails)
    assert "did not start" in problem(lambda: gate.put(listener(port, one, bind="*"))).text
    assert gate.survey()["hash"] == before
    assert fetch(port) == (200, "api-0.aa")


def test_a_port_that_moves_to_another_address_leaves_the_other_listeners_alone(gate: Ingress) -> None:
    port, other = free_port(), free_port()
    stop = threading.Event()
    answers: list[int] = []

    def ask() -> None:
        while not stop.wait(0.002):
            answers.append(fetch(other)[0])

    gate.put(listener(port), listener(other, name="other"))
    client = threading.Thread(target=ask)
    client.start()
    for bind in ("*", "127.0.0.1", "127.0.0.2", "*"):
        assert gate.put(listener(port, bind=bind), listener(other, name="other"), wait=5000)["changed"]
        assert gate.survey()["hash"] == config_digest(
            render(OWNER, [listener(port, bind=bind), listener(other, name="other")])
        )
    assert fetch(port)[0] == 503
    stop.set()
    client.join()
    assert set(answers) == {503}
    assert len(gate.pids()) == 1


def test_a_port_that_an_instance_has_recorded_is_taken_even_while_nothing_listens(gate: Ingress) -> None:
    port = free_port()
    forward = {"name": "http", "guest": 80, "host": port, "bind": "127.0.0.1", "udp": False}
    assert gate.world.launch(document("web-0", forwards=[forward]))[0]["ok"]
    told = problem(lambda: gate.put(listener(port, bind="*")))
    assert told.kind == "taken"
    assert "web-0.0123abcd" in told.text
    gate.world.retire("web-0.0123abcd")


def test_ports_of_an_ingress_are_claims_to_other_fleets(gate: Ingress) -> None:
    port, published = free_port(), free_port()
    gate.put(listener(port), listener(published, bind="*"))
    assert sorted(ingress_status.configured_ports(gate.world.root, OWNER)) == [("", published), ("127.0.0.1", port)]
    row = {"kind": "port", "owner": OWNER, "holder": "ingress", "bind": "127.0.0.1", "port": port}
    assert row in ingress_status.port_claims(gate.world.root, OWNER)


def test_no_text_stops_it_frees_its_ports_and_leaves_no_file(gate: Ingress, backends: Any) -> None:
    port = free_port()
    gate.put(listener(port, *backends("api-0.aa")))
    assert gate.put() == {"changed": True, "drained": True}
    assert not listens(port)
    with socket.create_server(("127.0.0.1", port)):
        assert gate.survey()["state"] == "absent"
    assert not Path(gate.place.directory).exists()
    assert not Path(gate.place.run_directory).exists()
    assert gate.put() == {"changed": False, "drained": True}


def test_one_that_was_killed_is_seen_as_dead_and_started_again(gate: Ingress, backends: Any) -> None:
    port = free_port()
    wished = listener(port, *backends("api-0.aa"))
    gate.put(wished)
    gate.world.kill_supervisor()
    kill(gate, signal.SIGKILL)
    told = gate.survey()
    assert (told["state"], told["hash"], told["servers"], told["restarting"]) == ("dead", "", {}, False)
    with socket.create_server(("127.0.0.1", port)):
        assert gate.survey()["state"] == "foreign"
    assert gate.put(wished)["changed"]
    assert fetch(port) == (200, "api-0.aa")


def test_one_that_dies_is_started_again_by_the_supervisor_as_it_was(gate: Ingress, backends: Any) -> None:
    port = free_port()
    gate.put(listener(port, *backends("api-0.aa")))
    before = gate.survey()
    kill(gate, signal.SIGKILL)
    after = gate.until(lambda told: told["state"] == "running" and told["ends"] == 1, seconds=30)
    assert after["hash"] == before["hash"]
    assert fetch(port) == (200, "api-0.aa")
    kill(gate, signal.SIGKILL)
    # Not at once this time: it did not last.
    assert gate.until(lambda told: told["ends"] == 2, seconds=30)["restarting"] is True
    gate.until(lambda told: told["state"] == "running", seconds=30)
    assert fetch(port) == (200, "api-0.aa")


def test_an_end_has_a_date_where_somebody_saw_it(gate: Ingress, backends: Any) -> None:
    gate.put(listener(free_port(), *backends("api-0.aa")))
    began = time.time()
    kill(gate, signal.SIGKILL)
    told = gate.until(lambda told: told["state"] == "running" and told["ends"] == 1, seconds=30)
    assert began - 1 <= told["ended"] <= time.time()
    gate.world.kill_supervisor()
    kill(gate, signal.SIGKILL)
    assert gate.survey()["ended"] == 0
    supervisor.choose(gate.world.writable, OWNER).start_daemon()
    assert gate.until(lambda told: told["state"] == "running" and told["ends"] == 2, seconds=30)["ended"] == 0


def test_one_started_by_the_supervisor_hands_over_as_any_other(gate: Ingress, backends: Any) -> None:
    port, (first, second) = free_port(), backends("api-0.aa", "api-1.bb")
    gate.put(listener(port, first))
    kill(gate, signal.SIGKILL)
    gate.until(lambda told: told["state"] == "running", seconds=30)
    (started,) = gate.pids()
    assert gate.put(listener(port, second), wait=5000) == {"changed": True, "drained": True}
    assert gate.pids() != [started]
    assert gate.survey()["ends"] == 1
    assert fetch(port) == (200, "api-1.bb")


def test_a_reload_is_no_end(gate: Ingress, backends: Any) -> None:
    port, made = free_port(), backends("api-0.aa", "api-1.bb")
    for each in (*made, *made):
        gate.put(listener(port, each))
    told = gate.survey()
    assert (told["state"], told["ends"]) == ("running", 0)
    assert len(gate.pids()) == 1


def test_killing_the_supervisor_leaves_it_serving_and_the_next_one_looks_after_it(gate: Ingress, backends: Any) -> None:
    port = free_port()
    gate.put(listener(port, *backends("api-0.aa")))
    pids = gate.pids()
    gate.world.kill_supervisor()
    assert fetch(port) == (200, "api-0.aa")
    gate.world.release()
    gate.world.acquire()
    assert gate.pids() == pids
    gate.until(lambda _: gate.world.supervisor(), seconds=30)
    kill(gate, signal.SIGKILL)
    gate.until(lambda told: told["state"] == "running" and told["ends"] == 1, seconds=30)
    gate.world.kill_supervisor()
    assert fetch(port) == (200, "api-0.aa")


def test_while_another_program_has_its_port_that_is_told_and_tried_again(gate: Ingress, backends: Any) -> None:
    port = free_port()
    gate.put(listener(port, *backends("api-0.aa")))
    os.kill(gate.world.supervisor(), signal.SIGSTOP)
    kill(gate, signal.SIGKILL)
    with socket.create_server(("127.0.0.1", port)):
        os.kill(gate.world.supervisor(), signal.SIGCONT)
        told = gate.until(lambda told: told["why"], seconds=30)
        assert (told["state"], told["restarting"]) == ("foreign", True)
        assert "cannot bind" in told["why"]
    gate.until(lambda told: told["state"] == "running", seconds=60)
    assert fetch(port) == (200, "api-0.aa")


def test_the_supervisor_goes_with_the_ingress_where_nothing_else_is_kept(gate: Ingress, backends: Any) -> None:
    gate.put(listener(free_port(), *backends("api-0.aa")))
    assert gate.world.supervisor()
    gate.put()
    deadline = time.monotonic() + 30
    while gate.world.supervisor():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_its_starts_are_tried_ever_less_often() -> None:
    assert [ingress_watcher.retry_delay(level) for level in range(1, 10)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_one_that_hangs_is_replaced(gate: Ingress, backends: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "ANSWER_TIMEOUT", 0.2)
    port = free_port()
    wished = listener(port, *backends("api-0.aa"))
    gate.put(wished)
    (hung,) = gate.pids()
    os.kill(hung, signal.SIGSTOP)
    deadline = time.monotonic() + 5
    while processes.process_state(hung, processes.start_ticks(hung)) != "T":
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert gate.survey()["state"] == "dead"
    assert gate.put(wished)["changed"]
    assert fetch(port) == (200, "api-0.aa")
    assert hung not in gate.pids()


def test_one_whose_run_folder_was_swept_is_replaced(gate: Ingress, backends: Any) -> None:
    port = free_port()
    wished = listener(port, *backends("api-0.aa"))
    gate.put(wished)
    shutil.rmtree(gate.place.run_directory)
    assert gate.put(wished)["changed"]
    assert fetch(port) == (200, "api-0.aa")
    assert len(gate.pids()) == 1


def test_a_text_that_haproxy_refuses_changes_nothing(gate: Ingress, backends: Any) -> None:
    port = free_port()
    gate.put(listener(port, *backends("api-0.aa")))
    before = (gate.survey()["hash"], gate.place.read_config())
    bad = "global\n{global}\n\nlisten web\n    no-such-word\n"
    told = problem(lambda: gate.world.do("apply-ingress", text=bad, hash=config_digest(bad), wait=0))
    assert told.kind == "unsupported"
    assert "no-such-word" in told.text
    assert (gate.survey()["hash"], gate.place.read_config()) == before
    assert guarded_read.list_names(gate.place.directory) == ["haproxy.cfg"]


def test_a_request_in_flight_ends_where_it_began_and_the_drain_waits_for_it(gate: Ingress, backends: Any) -> None:
    port, (old, new) = free_port(), backends("api-0.aa", "api-0.bb")
    gate.put(listener(port, old))
    old.gate.clear()
    answers: list[tuple[int, str]] = []
    client = threading.Thread(target=lambda: answers.append(fetch(port)))
    client.start()
    assert old.begun.wait(5)
    assert gate.put(listener(port, new), wait=50) == {"changed": True, "drained": False}
    assert fetch(port) == (200, "api-0.bb")
    threading.Timer(0.2, old.gate.set).start()
    assert gate.put(listener(port, new), wait=5000) == {"changed": False, "drained": True}
    client.join()
    assert answers == [(200, "api-0.aa")]


def test_a_drain_ends_by_itself_after_the_services_drain_time(gate: Ingress, backends: Any) -> None:
    port, (old, new) = free_port(), backends("api-0.aa", "api-0.bb")
    gate.put(listener(port, old, drain=300))
    with socket.create_connection(("127.0.0.1", port)) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(100)
        assert gate.put(listener(port, new, drain=300), wait=300) == {"changed": True, "drained": True}


def test_a_cancelled_drain_returns_at_once(gate: Ingress, backends: Any) -> None:
    port, (old, new) = free_port(), backends("api-0.aa", "api-0.bb")
    gate.put(listener(port, old))
    with socket.create_connection(("127.0.0.1", port)):
        old.gate.clear()
        threading.Thread(target=fetch, args=(port,), daemon=True).start()
        assert old.begun.wait(5)
        call = Call(gate.world.connection)
        call.cancelled.set()
        written = render(OWNER, [listener(port, new)])
        ask = {"owner": OWNER, "text": written, "hash": config_digest(written), "wait": 60_000}
        assert ingress.apply_config(gate.world.writable, ask, call) == {"changed": True, "drained": False}
        old.gate.set()


def test_without_the_lease_nothing_is_done(world: World) -> None:
    assert problem(lambda: Ingress(world).put(listener(free_port()))).kind == "lost-lease"


def test_without_haproxy_the_problem_says_what_to_install(held: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "program", lambda: "")
    told = problem(lambda: Ingress(held).put(listener(free_port())))
    assert told.kind == "unsupported"
    assert "install haproxy" in told.hint
    assert ingress_status.missing_capabilities()[0]["code"] == "no-haproxy"


def test_haproxy_runs_as_nobody_in_particular_and_outside_our_session(gate: Ingress) -> None:
    gate.put(listener(free_port()))
    (pid,) = gate.pids()
    assert os.getsid(pid) == pid
    assert not gate.world.connection.lease or not inherits(pid, gate.world.connection.lease.descriptor)
    uid = privileges.instance_uid(gate.world.root, gate.place.token)
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    told = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert {int(word) for word in told["Uid"].split()} == {os.geteuid() if uid is None else uid}


def test_killed_at_any_instant_the_same_message_again_converges() -> None:
    count, k = 1, 0
    while k < count:
        k += 1
        port = free_port()
        world = World(short_folder())
        gate = Ingress(world)
        try:
            ended, count = killed(world, k, partial(change, port=port))
            world.acquire()
            told = gate.survey()
            assert told["state"] in ("absent", "dead", "running"), k
            wished = render(OWNER, [listener(port), listener(port, name="more", bind="127.0.0.3")])
            gate.put(listener(port), listener(port, name="more", bind="127.0.0.3"), wait=5000)
            assert gate.survey()["hash"] == config_digest(wished), k
            assert fetch(port)[0] == 503
            assert len(gate.pids()) == 1, k
            assert set(guarded_read.list_names(gate.place.directory)) - {"run-log.jsonl"} == {"haproxy.cfg"}, k
            assert gate.put(wait=2000)["drained"]
            assert not gate.pids()
            count = k if ended else max(count, k + 1)
        finally:
            gate.put()
            world.close()


def test_a_reload_whose_writer_died_in_it_does_not_stay_beside_the_next(
    gate: Ingress, backends: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, (one, two, three) = free_port(), backends("api-0.aa", "api-0.bb", "api-0.cc")
    gate.put(listener(port, one))
    gate.world.release()

    def die(_root: layout.StoreLayout, place: haproxy.IngressPaths, old: list[int], handover: bool) -> None:  # noqa: ARG001
        argv = ["haproxy", "-D", "-f", place.config, "-p", place.pidfile, "-x", place.admin, "-sf", str(old[0])]
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if pid == 0:
        monkeypatch.setattr(haproxy, "start", die)
        gate.world.acquire()
        gate.put(listener(port, two))
    os.waitpid(pid, 0)
    gate.world.acquire()
    with contextlib.suppress(errors.HostError):
        gate.put(listener(port, three), wait=5000)
    assert gate.put(listener(port, three), wait=5000)["drained"]
    assert len(gate.pids()) == 1
    assert {fetch(port)[1] for _ in range(8)} == {"api-0.cc"}


def change(world: World, port: int) -> None:
    """Start, reload, stop."""
    gate = Ingress(world)
    gate.world.acquire()
    gate.put(listener(port))
    gate.put(listener(port), listener(port, name="more", bind="127.0.0.2"), wait=2000)
    gate.put()


def kill(gate: Ingress, number: int) -> None:
    """Send it to all, and wait until they are gone."""
    found = haproxy.ingress_processes(gate.place)
    haproxy.signal_all(found, number)
    assert haproxy.await_exit(found, 60, None)


def inherits(pid: int, descriptor: int) -> bool:
    wanted = os.fstat(descriptor)
    links = [link for link in Path(f"/proc/{pid}/fd").iterdir() if link.exists()]
    return any(link.stat().st_ino == wanted.st_ino for link in links)


def test_a_damaged_file_is_no_ingress_and_no_crash_of_the_survey(gate: Ingress) -> None:
    atomic.make_dirs(gate.place.directory)
    Path(gate.place.config).write_bytes(b"\xff\xfe bind")
    assert gate.survey()["state"] == "dead"
