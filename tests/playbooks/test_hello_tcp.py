"""hello on a bad line: what its TCP does when segments are lost, damaged, repeated, or find no room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.playbooks.ethernet import (
    ACK,
    ARP,
    BROADCAST,
    FIN,
    GUEST,
    GUEST_MAC,
    HOST,
    ICMP,
    PSH,
    RST,
    SYN,
    Conversation,
    Segment,
    Wire,
    checksum,
)
from tests.playbooks.machine import Hello

pytestmark = pytest.mark.real

GET = b"GET / HTTP/1.1\r\nHost: front\r\n\r\n"
PARTING = b"GET /healthz HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n"

Take = Callable[[Hello], Hello]


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


@pytest.fixture
def guest(tmp_path: Path, started: Take, wire: Wire) -> Hello:
    guest = started(Hello(tmp_path, netdev=wire.netdev())).ready()
    announcement = wire.frame(ARP)
    assert announcement is not None
    assert announcement[6:8] == b"\0\1" and announcement[8:14] == GUEST_MAC
    assert announcement[14:18] == announcement[24:28] == GUEST
    return guest


@pytest.mark.usefixtures("guest")
def test_it_tells_its_hardware_address(wire: Wire) -> None:
    wire.arp(1, BROADCAST)
    answer = wire.frame(ARP)
    assert answer is not None
    assert answer[6:8] == b"\0\2" and answer[8:18] == GUEST_MAC + GUEST


@pytest.mark.usefixtures("guest")
def test_it_answers_a_ping(wire: Wire) -> None:
    body = b"\x08\0\0\0\0\1\0\1" + bytes(range(101))
    wire.send_packet(ICMP, body[:2] + checksum(body).to_bytes(2, "big") + body[4:])
    answer = wire.packet(ICMP)
    assert answer is not None and checksum(answer) == 0
    assert answer[0] == 0 and answer[4:] == body[4:]


@pytest.mark.usefixtures("guest")
def test_an_unconfirmed_greeting_is_repeated_with_growing_pauses(wire: Wire) -> None:
    wire.send_segment(5000, SYN, seq=7)
    greetings = [wire.expect() for _ in range(4)]
    assert {(g.flags, g.seq, g.ack) for g in greetings} == {(SYN | ACK, greetings[0].seq, 8)}
    assert grow(greetings)


@pytest.mark.usefixtures("guest")
def test_a_greeting_twice_opens_one_connection(wire: Wire) -> None:
    wire.send_segment(5000, SYN, seq=7)
    first = wire.expect()
    wire.send_segment(5000, SYN, seq=7)
    assert wire.expect().seq == first.seq


@pytest.mark.usefixtures("guest")
def test_a_lost_answer_is_repeated_with_growing_pauses_until_it_is_confirmed(wire: Wire) -> None:
    talk = Conversation(wire, 5001)
    talk.ask(GET)
    answers = [wire.expect() for _ in range(4)]
    assert {(a.seq, a.data) for a in answers} == {(talk.ack, answers[0].data)}
    assert grow(answers)
    talk.take(answers[0])
    assert wire.segment(1.5) is None
    talk.ask(GET)
    assert wire.expect().data.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.usefixtures("guest")
def test_three_doubled_confirmations_bring_a_repetition_at_once(wire: Wire) -> None:
    talk = Conversation(wire, 5002)
    talk.ask(GET)
    lost = wire.expect()
    for _ in range(3):
        talk.send(ACK)
    again = wire.expect()
    assert again.data == lost.data and again.at - lost.at < 0.3


@pytest.mark.usefixtures("guest")
def test_a_damaged_segment_is_ignored(wire: Wire) -> None:
    talk = Conversation(wire, 5003)
    talk.send(ACK | PSH, GET, damage=0x0101)
    assert wire.segment(0.3) is None
    talk.ask(GET)
    assert wire.expect().data.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.usefixtures("guest")
def test_a_segment_before_its_turn_is_asked_for_again(wire: Wire) -> None:
    talk = Conversation(wire, 5004)
    talk.send(ACK | PSH, GET[10:], ahead=10)
    complaint = wire.expect()
    assert (complaint.ack, complaint.data) == (talk.seq, b"")
    talk.ask(GET[:10])
    assert wire.expect().ack == talk.seq
    talk.ask(GET[10:])
    assert wire.expect().data.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.usefixtures("guest")
def test_a_segment_twice_is_taken_once(wire: Wire) -> None:
    talk = Conversation(wire, 5005)
    talk.ask(GET)
    answer = wire.expect()
    talk.take(answer)
    talk.send(ACK | PSH, GET, ahead=-len(GET))
    again = wire.expect()
    assert (again.ack, again.data) == (talk.seq, b"")


@pytest.mark.usefixtures("guest")
def test_segments_that_overlap_are_joined(wire: Wire) -> None:
    talk = Conversation(wire, 5006)
    talk.ask(GET[:20])
    wire.expect()
    talk.send(ACK | PSH, GET[5:], ahead=-15)
    assert wire.expect().data.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.usefixtures("guest")
def test_a_closed_window_is_probed_and_an_opened_one_filled(wire: Wire) -> None:
    talk = Conversation(wire, 5007, window=0)
    talk.ask(GET)
    confirmation = wire.expect()
    assert confirmation.data == b""
    probe = wire.expect()
    assert probe.data == b"H" and probe.seq == talk.ack
    talk.send(ACK, window=0)
    assert wire.expect().data == b"H"
    talk.window = 50
    talk.send(ACK)
    parts = b""
    while b"uptime_ms" not in parts:
        segment = wire.expect()
        assert 0 < len(segment.data) <= 50
        parts += talk.take(segment)
    assert parts.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.usefixtures("guest")
def test_an_orderly_close_by_the_guest_survives_a_lost_last_confirmation(wire: Wire) -> None:
    talk = Conversation(wire, 5008)
    talk.ask(PARTING)
    answer = wire.expect()
    assert answer.flags & FIN
    talk.take(answer)
    talk.send(FIN | ACK)
    last = wire.expect()
    assert (last.flags, last.ack) == (ACK, talk.seq + 1)
    talk.send(FIN | ACK)
    assert wire.expect().ack == talk.seq + 1


@pytest.mark.usefixtures("guest")
def test_a_waiting_connection_gives_way_to_a_new_one_from_the_same_port(wire: Wire) -> None:
    talk = Conversation(wire, 5009)
    talk.ask(PARTING)
    talk.take(wire.expect())
    talk.send(FIN | ACK)
    wire.expect()
    again = Conversation(wire, 5009, seq=900_000)
    again.ask(GET)
    assert wire.expect().data.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.usefixtures("guest")
def test_an_orderly_close_by_the_client_is_returned(wire: Wire) -> None:
    talk = Conversation(wire, 5010)
    talk.send(FIN | ACK)
    talk.seq += 1
    farewell = wire.expect()
    assert farewell.flags & FIN and farewell.ack == talk.seq
    talk.take(farewell)
    talk.send(ACK)
    assert wire.expect().flags & RST  # nothing is left that would know the connection


@pytest.mark.usefixtures("guest")
def test_a_request_with_the_end_right_behind_it_is_answered(wire: Wire) -> None:
    talk = Conversation(wire, 5011)
    talk.send(FIN | ACK | PSH, GET)
    talk.seq += len(GET) + 1
    answer = wire.expect()
    assert answer.data.startswith(b"HTTP/1.1 200 OK") and answer.ack == talk.seq


@pytest.mark.usefixtures("guest")
def test_a_reset_ends_a_connection_and_a_wrong_one_does_not(wire: Wire) -> None:
    talk = Conversation(wire, 5012)
    talk.send(RST, ahead=50)
    challenge = wire.expect()
    assert (challenge.flags, challenge.ack) == (ACK, talk.seq)
    talk.send(RST)
    talk.send(ACK)
    assert wire.expect().flags == RST


@pytest.mark.usefixtures("guest")
def test_a_port_nobody_listens_on_refuses(wire: Wire) -> None:
    wire.send_segment(5013, SYN, seq=77, port=22)
    answer = wire.expect()
    assert (answer.flags, answer.ack) == (RST | ACK, 78)


@pytest.mark.usefixtures("guest")
def test_a_flood_of_greetings_leaves_room_for_a_real_client(wire: Wire) -> None:
    for port in range(10000, 13000):
        wire.send_segment(port, SYN, seq=1)
    while wire.segment(0.5):
        pass  # a pause that long means that the half open ones were greeted twice: now they may be dropped
    Conversation(wire, 5014)


def test_a_call_finds_the_way_and_repeats_a_lost_greeting(tmp_path: Path, started: Take, wire: Wire) -> None:
    started(Hello(tmp_path, "--call=10.0.2.2:9", netdev=wire.netdev())).ready()
    assert wire.frame(ARP) is not None
    talk = Conversation(wire, 5015)
    talk.ask(GET)
    question = wire.frame(ARP)
    assert question is not None and question[24:28] == HOST
    wire.arp(2, GUEST_MAC)
    greetings = [s for s in (wire.expect() for _ in range(4)) if s.flags == SYN]
    assert len(greetings) >= 2
    assert len({(g.port, g.own_port, g.seq) for g in greetings}) == 1
    assert greetings[0].own_port == 9


def grow(four: list[Segment]) -> bool:
    """Whether the pauses double (300, 600, 1200 ms), as far as a busy machine lets one see when something came."""
    return four[3].at - four[2].at > 2 * (four[1].at - four[0].at) > 0.2
