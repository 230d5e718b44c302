"""The loop of one conversation: silence, faults, unknown requests; never a broken frame."""

import json
import os
import threading
import time
from typing import Any

import pytest

from tests.onhost.world import OWNER, World
from unictl.onhost import dispatcher
from unictl.onhost.lease import lease_holder
from unictl.onhost.protocol import frames as protocol_frames


class Talk:
    """Both ends of a conversation in this process."""

    def __init__(self, world: World):
        there, self.writing = os.pipe()
        self.reading, back = os.pipe()
        self.connection = dispatcher.Dispatcher(world.root, there, back)
        self.thread = threading.Thread(target=self.connection.run, daemon=True)
        self.thread.start()
        self.hello = json.loads(self.read()[2])

    def read(self) -> tuple[int, int, bytes]:
        return protocol_frames.read_frame(self.reading)

    def ask(self, stream: int, **request: Any) -> None:
        protocol_frames.write_all(
            self.writing,
            protocol_frames.pack_frame(
                stream, protocol_frames.REQUEST, protocol_frames.encode_json({"owner": OWNER, **request})
            ),
        )

    def answer(self, stream: int, **request: Any) -> dict[str, Any]:
        self.ask(stream, **request)
        while True:
            number, kind, body = self.read()
            if (number, kind) == (stream, protocol_frames.REPLY):
                reply: dict[str, Any] = json.loads(body)
                return reply


def test_an_unknown_request_is_a_problem_and_not_an_end(world: World) -> None:
    talk = Talk(world)
    assert talk.answer(1, message="dance")["problem"]["kind"] == "unsupported"
    assert "ok" in talk.answer(2, message="survey", mark="shop")


def test_a_fault_of_ours_never_tells_the_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("s3cr3t in a message")

    talk = Talk(world)
    talk.answer(1, message="lease", mark="shop", id="5f0c2a", holder={}, wait=0)
    monkeypatch.setattr(dispatcher, "load_handler", lambda *_: broken)
    told = talk.answer(2, message="launch", instances=[], secrets={"pass": "s3cr3t"})["problem"]
    assert told["kind"] == "failed"
    assert "test_dispatcher.py" in told["text"]
    assert "s3cr3t" not in json.dumps(told)


def test_a_silent_control_side_loses_its_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_frames, "SILENCE_LIMIT", 0.3)
    talk = Talk(world)
    assert "ok" in talk.answer(1, message="lease", mark="shop", id="5f0c2a", holder={}, wait=0)
    assert lease_holder.current_holder(world.root, OWNER)
    talk.thread.join(60)
    assert not talk.thread.is_alive()
    # The process would end here; its lease is freed with it.
    talk.connection.lease.close()


def test_pings_keep_it_alive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_frames, "SILENCE_LIMIT", 0.3)
    talk = Talk(world)
    for _ in range(6):
        time.sleep(0.1)
        protocol_frames.write_all(talk.writing, protocol_frames.pack_frame(0, protocol_frames.PING))
        assert talk.read()[1] == protocol_frames.PING
    assert talk.thread.is_alive()
    os.close(talk.writing)
    talk.thread.join(60)
    assert not talk.thread.is_alive()


def test_the_end_of_input_ends_what_may_be_cancelled(world: World) -> None:
    talk = Talk(world)
    talk.answer(1, message="lease", mark="shop", id="5f0c2a", holder={}, wait=0)
    other = Talk(world)
    other.ask(1, message="lease", mark="shop", id="5f0c2a", holder={}, wait=60)
    time.sleep(0.1)
    os.close(other.writing)
    other.thread.join(60)
    assert not other.thread.is_alive()


def test_a_cancelled_wait_is_answered(world: World) -> None:
    talk = Talk(world)
    talk.answer(1, message="lease", mark="shop", id="5f0c2a", holder={}, wait=0)
    other = Talk(world)
    other.ask(1, message="lease", mark="shop", id="5f0c2a", holder={}, wait=60)
    time.sleep(0.1)
    protocol_frames.write_all(other.writing, protocol_frames.pack_frame(1, protocol_frames.CANCEL))
    _, kind, body = other.read()
    assert kind == protocol_frames.REPLY
    assert json.loads(body)["problem"]["kind"] == "cancelled"


def test_a_newer_store_is_told_in_the_hello_and_to_every_request(world: World) -> None:
    with open(world.root.path + "/format", "w") as file:
        json.dump({"format": 9, "readable_from": 9}, file)
    talk = Talk(world)
    assert talk.hello["problem"]["kind"] == "newer-format"
    assert talk.answer(1, message="survey", mark="shop")["problem"]["kind"] == "newer-format"


def test_long_replies_come_in_parts_that_join() -> None:
    text = "x" * (3 * protocol_frames.DATA_LIMIT)
    frames = protocol_frames.pack_message(7, protocol_frames.REPLY, protocol_frames.encode_json({"ok": text}))
    kinds = [protocol_frames.HEADER.unpack_from(one)[2] for one in frames]
    assert kinds == [protocol_frames.PART] * 3 + [protocol_frames.REPLY]
    body = b"".join(one[protocol_frames.HEADER.size :] for one in frames)
    assert json.loads(body) == {"ok": text}


def test_a_long_request_comes_in_parts_each_of_which_is_answered_by_a_sign_of_life(world: World) -> None:
    talk = Talk(world)
    body = protocol_frames.encode_json(
        {"owner": OWNER, "message": "survey", "mark": "shop", "full": {"web-0": "x" * (2 * protocol_frames.DATA_LIMIT)}}
    )
    first, *rest = protocol_frames.pack_message(1, protocol_frames.REQUEST, body)
    protocol_frames.write_all(talk.writing, first)
    assert talk.read()[:2] == (0, protocol_frames.PING)
    assert "ok" in talk.answer(2, message="survey", mark="shop"), "another is answered meanwhile"
    protocol_frames.write_all(talk.writing, b"".join(rest))
    while (frame := talk.read())[:2] != (1, protocol_frames.REPLY):
        assert frame[:2] == (0, protocol_frames.PING)
    assert "ok" in json.loads(frame[2])


def test_a_host_holds_no_more_of_a_request_than_its_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_frames, "MESSAGE_LIMIT", 1 << 20)
    talk = Talk(world)
    for stream in range(1, 6):
        protocol_frames.write_all(
            talk.writing, protocol_frames.pack_frame(stream, protocol_frames.PART, bytes(protocol_frames.DATA_LIMIT))
        )
    talk.thread.join(10)
    assert not talk.thread.is_alive()
