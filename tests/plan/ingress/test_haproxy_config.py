"""The text of an ingress: the same for the same membership, with nothing in it that was not meant to be."""

import random
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from unictl.fleet.model import Probe
from unictl.plan.ingress.haproxy_config import config_digest, ingress_check, proxy_mode, render
from unictl.plan.model.ingress import Listener, Server

OWNER = "shop@staging-5f0c2a"
HTTP = Probe(kind="http", path="/healthz", interval=500, timeout=2000)
TCP = Probe(kind="tcp", send="ping\n", expect='it\'s a "pong"')
API = tuple(Server(name=f"api-{n}.7f3c9a1{n}", address="127.0.0.1", port=20100 + n) for n in range(3))
PUBLISHED = Listener(name="api.http", bind="*", port=8080, servers=API, mode="http", check=HTTP)
ENDPOINT = replace(PUBLISHED, bind="127.0.0.1", port=20001)
SQL = Listener(name="db.sql", bind="127.0.0.1", port=20002, servers=API[:1], mode="tcp", check=TCP, drain=60_000)

THREE_REPLICAS = """\
# The ingress of shop@staging-5f0c2a, written by unictl from the fleet file: changes made here are lost.
global
{global}
    noreuseport
    hard-stop-after 10s

defaults
    balance roundrobin
    retries 10
    option redispatch 1
    timeout connect 200ms
    timeout queue 5s
    timeout client-fin 10s
    timeout server-fin 10s

listen api.http
    bind *:8080
    bind 127.0.0.1:20001
    mode http
    option idle-close-on-response
    timeout client 1m
    timeout server 1m
    timeout tunnel 1h
    timeout http-request 10s
    timeout http-keep-alive 5s
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless { method GET HEAD OPTIONS PUT DELETE TRACE }
    option httpchk
    http-check send meth GET uri '/healthz' ver HTTP/1.1 hdr Host api.http
    http-check expect status 200-399
    timeout check 2s
    default-server check inter 500ms fastinter 100ms downinter 500ms fall 2 rise 1
    server api-0.7f3c9a10 127.0.0.1:20100
    server api-1.7f3c9a11 127.0.0.1:20101
    server api-2.7f3c9a12 127.0.0.1:20102
"""


def section(written: str, name: str) -> str:
    return next(part for part in written.split("\n\n") if part.startswith(f"listen {name}\n"))


def test_a_service_with_three_replicas_reads_like_this() -> None:
    assert render(OWNER, [PUBLISHED, ENDPOINT]) == THREE_REPLICAS


def test_the_order_in_which_members_and_listeners_are_named_does_not_matter() -> None:
    listeners = [PUBLISHED, ENDPOINT, SQL]
    for seed in range(10):
        mixed = random.Random(seed)
        shuffled = [replace(each, servers=tuple(mixed.sample(each.servers, len(each.servers)))) for each in listeners]
        mixed.shuffle(shuffled)
        assert render(OWNER, shuffled) == render(OWNER, listeners)


def test_every_change_of_membership_changes_the_digest() -> None:
    members = [replace(PUBLISHED, servers=API[:n]) for n in range(4)]
    assert len({config_digest(render(OWNER, [each])) for each in members}) == 4
    assert re.fullmatch("[0-9a-f]{64}", config_digest(render(OWNER, members)))


def test_no_listener_is_no_ingress() -> None:
    assert render(OWNER, []) == ""
    assert config_digest("") == ""


def test_a_service_without_members_still_listens() -> None:
    written = section(render(OWNER, [replace(PUBLISHED, servers=())]), "api.http")
    assert "bind *:8080" in written
    assert "server api" not in written


def test_two_services_without_members_stay_two() -> None:
    empty = replace(PUBLISHED, servers=())
    written = render(OWNER, [empty, replace(empty, name="web.http", port=8081)])
    assert "bind *:8080" in section(written, "api.http")
    assert "bind *:8081" in section(written, "web.http")


def test_listeners_of_one_name_but_other_members_do_not_meet_in_one_section() -> None:
    written = render(OWNER, [ENDPOINT, replace(PUBLISHED, servers=API[:1])])
    assert section(written, "api.http").count("server api") == 1
    assert section(written, "api.http:20001").count("server api") == 3


def test_the_longest_drain_of_all_bounds_the_old_process() -> None:
    assert "hard-stop-after 1m\n" in render(OWNER, [PUBLISHED, SQL])
    assert "hard-stop-after 1ms\n" in render(OWNER, [replace(SQL, drain=0)])


def test_a_tcp_check_sends_and_expects_bytes_in_hex() -> None:
    written = section(render(OWNER, [SQL]), "db.sql")
    assert "mode tcp" in written
    assert f"tcp-check send-binary {b'ping'.hex()}0a\n" in written
    sent = re.findall(r"tcp-check expect binary ([0-9a-f]+)", written)
    assert [bytes.fromhex(each).decode() for each in sent] == [TCP.expect]


def test_without_a_check_a_connection_is_one() -> None:
    written = section(render(OWNER, [replace(SQL, check=None)]), "db.sql")
    assert "default-server check inter" in written
    assert "tcp-check" not in written


def test_a_check_may_ask_another_port_of_the_same_instance() -> None:
    server = replace(API[0], check_port=20300)
    assert "127.0.0.1:20100 port 20300\n" in render(OWNER, [replace(PUBLISHED, servers=(server,))])


def test_the_gates_first_http_check_is_repeated_else_its_first_tcp_check() -> None:
    console = Probe(kind="console", pattern="ready")
    assert ingress_check([console, TCP, HTTP]) is HTTP
    assert ingress_check([console, TCP]) is TCP
    assert ingress_check([console]) is None
    assert [proxy_mode(check) for check in (HTTP, TCP, None)] == ["http", "tcp", "tcp"]


@pytest.mark.parametrize("name", ["api http", "api\nbind *:1", "", "a'b", "a#b", "a$b", "a\\b"])
def test_what_is_more_than_a_word_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot stand"):
        render(OWNER, [replace(PUBLISHED, name=name)])
    with pytest.raises(ValueError, match="cannot stand"):
        render(OWNER, [replace(PUBLISHED, servers=(replace(API[0], name=name),))])


@pytest.mark.parametrize("path", ["/a b", "/it's", '/"q"', "/x\ny", "/ü", "/$HOME", "/a#b", "/a\\b", "/?a=b&c=%20"])
def test_any_path_stays_within_its_quotes(path: str) -> None:
    written = render(OWNER, [replace(PUBLISHED, check=replace(HTTP, path=path))])
    assert len(written.splitlines()) == len(THREE_REPLICAS.splitlines()) - 1
    assert re.search(r"uri '[^'\s#]*' ver", written)


@pytest.mark.skipif(not shutil.which("haproxy"), reason="needs HAProxy")
def test_haproxy_reads_it_without_a_warning(tmp_path: Path) -> None:
    odd = replace(PUBLISHED, name="odd", port=8082, check=replace(HTTP, path="/it's $HOME \\ ü"))
    plain = Listener(name="plain.raw", bind="127.0.0.1", port=20003, servers=API)
    other = replace(PUBLISHED, name="api.admin", port=8083, mode="tcp", servers=(replace(API[0], check_port=1),))
    empty = replace(PUBLISHED, name="empty", port=8084, servers=())
    written = render(OWNER, [PUBLISHED, ENDPOINT, SQL, odd, plain, other, empty])
    (tmp_path / "cfg").write_text(written.replace("{global}", "    maxconn 100"))
    done = subprocess.run(["haproxy", "-c", "-f", str(tmp_path / "cfg")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
