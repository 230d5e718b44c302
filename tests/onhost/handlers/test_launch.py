"""Launching, adopting and retiring a sleeping stand-in."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.onhost.world import OWNER, SLEEP, Call, World, document
from unictl.onhost import errors
from unictl.onhost.instances import launch_tokens
from unictl.onhost.storage import guarded_read, identifiers

KEY = "web-0.0123abcd"


def test_a_launched_instance_runs_and_says_everything_a_plan_reads(held: World) -> None:
    sha = held.stage(b"kernel")
    forward = {"name": "http", "guest": 80, "host": 21111, "bind": "127.0.0.1", "udp": False}
    (outcome,) = held.launch(document(images=[sha], forwards=[forward], memory=1 << 20, overhead=4096))
    assert outcome == {"key": KEY, "ok": True, "adopted": False}
    row = held.row(KEY)
    assert (row["state"], row["starts"], row["end"]) == ("running", 1, None)
    assert (row["service"], row["ordinal"], row["launch"], row["fingerprint"]) == ("web", 0, 1, "1:web-0")
    assert (row["memory"], row["overhead"], row["images"], row["forwards"]) == (1 << 20, 4096, [sha], [forward])
    assert "spec" not in row


def test_the_spec_is_told_only_where_another_is_wished(held: World) -> None:
    held.launch(document())
    assert held.survey(**{"web-0": "1:web-0"})["instances"][0].get("spec") is None
    assert held.survey(**{"web-0": "1:other"})["instances"][0]["spec"] == {"image": "web-0"}
    assert held.survey(web="1:web-0")["instances"][0].get("spec") is None
    assert held.survey(web="1:other")["instances"][0]["spec"] == {"image": "web-0"}


def test_the_same_launch_again_adopts(held: World) -> None:
    held.launch(document())
    pid = held.pid(KEY)
    assert held.launch(document())[0]["adopted"] is True
    assert held.pid(KEY) == pid


def test_a_hundred_start_in_one_message(held: World) -> None:
    outcomes = held.launch(*(document(f"web-{number}") for number in range(100)))
    assert all(outcome["ok"] for outcome in outcomes)
    assert set(held.states().values()) == {"running"}
    assert len({held.pid(f"web-{number}.0123abcd") for number in range(100)}) == 100


def test_retire_keeps_record_and_end_and_frees_the_rest(held: World) -> None:
    held.launch(document(config="secret = x", argv=("/bin/sh", "-c", "echo hello; exec sleep 1000")))
    while "hello" not in held.do("logs", name="web-0").get("text", "") and not console(held):
        time.sleep(0.01)
    assert held.retire(KEY) is True
    assert held.states() == {}
    assert held.survey()["retired"] == {"web-0": 1}
    (kept,) = os.listdir(held.root.retired(OWNER))
    files = os.listdir(f"{held.root.retired(OWNER)}/{kept}")
    assert "boot.cfg" not in files
    assert {"record.json", "end.json", "console.1"} <= set(files)
    end = guarded_read.read_json(f"{held.root.retired(OWNER)}/{kept}/end.json")
    assert (end["verdict"], end["console"]) == ("stopped", ["hello"])
    assert not os.path.exists(held.root.run(identifiers.run_dir_name(OWNER, KEY)))


def console(world: World) -> str:
    call = Call(world.connection)
    from unictl.onhost.handlers import logs

    logs.tail(world.root, {"owner": OWNER, "name": "web-0"}, call)
    return "".join(event["data"] for event in call.events)


def test_retire_again_is_fine(held: World) -> None:
    held.launch(document())
    assert held.retire(KEY) is True
    assert held.retire(KEY) is False


def test_what_does_not_hear_sigterm_is_killed_after_its_grace(held: World) -> None:
    held.launch(document(argv=("/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")))
    time.sleep(0.1)
    begin = time.monotonic()
    held.retire(KEY, grace=300)
    assert 0.25 < time.monotonic() - begin < 30


def test_retired_ones_are_pruned_by_name_but_never_the_last(held: World) -> None:
    for launch in range(1, 5):
        for name in ("web-0", "web-1"):
            held.launch(document(name, generation=f"{launch:08x}", launch=launch))
            held.retire(f"{name}.{launch:08x}", keep=2)
    assert held.survey()["retired"] == {"web-0": 4, "web-1": 4}
    assert len(os.listdir(held.root.retired(OWNER))) == 4
    held.do("collect-garbage", keep_retired=0)
    assert held.survey()["retired"] == {"web-0": 4, "web-1": 4}


def test_a_missing_image_is_told_before_anything_is_written(held: World) -> None:
    (outcome,) = held.launch(document(images=["a" * 64]))
    assert outcome["problem"]["kind"] == "no-image"
    assert held.states() == {}


def test_one_that_cannot_start_does_not_hinder_the_others(held: World) -> None:
    outcomes = held.launch(document("web-0", argv=("/nowhere/hypervisor",)), document("web-1"))
    assert [outcome["ok"] for outcome in outcomes] == [False, True]
    assert "/nowhere/hypervisor" in outcomes[0]["problem"]["text"]
    row = held.until(KEY, "ended", verdict="configuration")
    assert row["end"]["restarting"] is False


def test_a_port_of_another_fleet_is_taken_and_its_holder_named(held: World) -> None:
    forward = {"name": "http", "guest": 80, "host": 21112, "bind": "127.0.0.1", "udp": False}
    held.launch(document(forwards=[forward]))
    other = World(held.root.path)
    try:
        asked = {"owner": "other-1", "mark": "other", "id": "1"}
        connection = other.connection
        other.do("lease", **asked)
        outcomes = other.do("launch", **{**asked, "instances": [document(forwards=[dict(forward, bind="0.0.0.0")])]})
        told = outcomes["outcomes"][0]["problem"]
        assert told["kind"] == "taken"
        assert f"{KEY} of fleet {OWNER}" in told["text"]
        survey = other.do("survey", **asked)
        assert {"kind": "port", "owner": OWNER, "holder": KEY, "port": 21112, "bind": "127.0.0.1"} in survey["claims"]
        assert connection.lease is not None
    finally:
        if other.connection.lease:
            other.connection.lease.close()


def test_a_port_another_program_listens_on_is_taken(held: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert {"kind": "port", "owner": "", "holder": "", "bind": "127.0.0.1", "port": port} in held.survey()["claims"]
        forward = {"name": "http", "guest": 80, "host": port, "bind": "127.0.0.1", "udp": False}
        (outcome,) = held.launch(document(forwards=[forward]))
    assert outcome["problem"]["kind"] == "taken"
    assert "another program" in outcome["problem"]["text"]
    assert held.survey()["leftovers"] == 0


def test_more_memory_than_the_host_has_is_refused(held: World) -> None:
    (outcome,) = held.launch(document(memory=1 << 50))
    assert outcome["problem"]["kind"] == "taken"
    assert "MiB" in outcome["problem"]["text"]


def test_a_volume_has_one_user_and_its_process_holds_it(held: World) -> None:
    held.do("volume", action="create", name="orders", size=4096)
    held.launch(document("web-0", volumes=["orders"]))
    (outcome,) = held.launch(document("web-1", volumes=["orders"]))
    assert outcome["problem"]["kind"] == "taken"
    assert KEY in outcome["problem"]["text"]
    assert held.survey()["volumes"] == [{"name": "orders", "size": 4096, "used_by": KEY}]
    with pytest.raises(errors.HostError):
        held.do("volume", action="delete", name="orders")
    held.retire(KEY)
    assert held.launch(document("web-1", volumes=["orders"]))[0]["ok"]


def test_a_volume_grows_while_unused_and_never_shrinks(held: World) -> None:
    held.do("volume", action="create", name="orders", size=8192)
    assert held.do("volume", action="create", name="orders", size=4096) == {"size": 8192}
    assert held.do("volume", action="create", name="orders", size=16384) == {"size": 16384}


def test_marks_change_beside_the_record(held: World) -> None:
    held.launch(document())
    with open(held.root.instance(OWNER, KEY) + "/record.json", "rb") as file:
        before = file.read()
    held.do("set-marks", key=KEY, protect=True, commit="feed")
    row = held.row(KEY)
    assert (row["protect"], row["commit"]) == (True, "feed")
    with open(held.root.instance(OWNER, KEY) + "/record.json", "rb") as file:
        assert file.read() == before


def test_the_boot_file_holds_the_secret_and_nothing_else_does(held: World) -> None:
    taught = document(
        config='[machine]\n  append = "p={secret:pass} {config}"', secrets=["pass"], argv=("/bin/sleep", "1000")
    )
    held.launch(taught, **{"pass": "s3cr3t"})
    path = held.root.instance(OWNER, KEY) + "/boot.cfg"
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path) as file:
        assert file.read() == f'[machine]\n  append = "p=s3cr3t {path}"'
    for folder, _, files in os.walk(held.root.path):
        for name in files:
            if name not in ("boot.cfg", "socket"):
                with open(f"{folder}/{name}", "rb") as other:
                    assert b"s3cr3t" not in other.read(), name


@pytest.mark.parametrize(
    ("value", "refused", "told"),
    [
        (
            "s3cr3t" * 170,
            '"',
            "with its secrets the command line of web-0.0123abcd is 8 bytes too long for QEMU to read",
        ),
        ('s3cr3t"b', '"', "holds a double quote, which"),
        ("s3cr3t's", "'\"", "holds a single quote, which"),
        ("s3cr3t b", '" ', "holds a space, which"),
        ("s3cr3t\nb", '"', "holds a line break or control character, which"),
        ("s3cr3t\x7f", '"', "holds a line break or control character, which"),
        ("s3cr3t\udcff", '"', "holds bytes that are no UTF-8, which"),
        ("s3cr3t' \"", "' \"", "holds a space and a double quote and a single quote, which"),
    ],
)
def test_a_secret_that_the_boot_file_cannot_carry_is_refused_without_its_value(
    held: World, value: str, refused: str, told: str
) -> None:
    taught = document(config='append = "{secret:pass}"', secrets=["pass"], refused=refused, longest=1023)
    (outcome,) = held.launch(taught, **{"pass": value})
    assert outcome["problem"]["kind"] == "unsupported"
    assert told in outcome["problem"]["text"]
    assert "file" in outcome["problem"]["hint"]
    assert "s3cr3t" not in json.dumps(outcome)
    assert held.survey()["leftovers"] == 0


@pytest.mark.parametrize(("size", "ok"), [(1012, True), (1013, False)])
def test_the_longest_secret_fills_a_line_of_the_boot_file(held: World, size: int, ok: bool) -> None:
    taught = document(config='[machine]\nappend = "{secret:pass}"\n', secrets=["pass"], refused='"', longest=1023)
    assert held.launch(taught, **{"pass": "x" * size})[0]["ok"] is ok


def test_what_may_not_stand_in_one_guests_words_may_in_anothers(held: World) -> None:
    taught = document(config='append = "{secret:pass}"', secrets=["pass"], refused='"')
    assert held.launch(taught, **{"pass": "it's two words"})[0]["ok"]


def test_tokens_are_replaced_once(held: World) -> None:
    run = document(argv=("{run}/x", "{image:" + "b" * 64 + "}", "{volume:orders}", "{nothing}", "{image:short}"))["run"]
    argv = launch_tokens.expand_argv(held.root, OWNER, KEY, run, 3)
    assert argv[0].startswith(held.root.runs)
    assert argv[1:] == [f"{held.root.images}/{'b' * 64}", f"{held.root.volume(OWNER, 'orders')}/data", *run["argv"][3:]]


def test_a_reboot_loses_it_and_launch_starts_the_same_generation(held: World) -> None:
    held.launch(document())
    os.kill(held.pid(KEY), signal.SIGKILL)
    held.until(KEY, "ended")
    path = held.root.instance(OWNER, KEY) + "/run-log.jsonl"
    with open(path) as file:
        first = json.loads(file.readline())
    with open(path, "w") as file:
        file.write(json.dumps(dict(first, boot="another")) + "\n")
    assert held.states() == {KEY: "lost"}
    assert held.launch(document())[0] == {"key": KEY, "ok": True, "adopted": False}
    row = held.row(KEY)
    assert (row["state"], row["starts"]) == ("running", 2)


def test_hypervisors_run_as_nobody_in_particular(held: World) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    held.launch(document("web-0"), document("web-1"))
    users = {os.stat(f"/proc/{held.pid(f'web-{number}.0123abcd')}").st_uid for number in (0, 1)}
    assert len(users) == 2
    assert min(users) >= 1_500_000_000
    with open(f"/proc/{held.pid(KEY)}/status") as file:
        status = file.read()
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status


def test_the_store_of_a_newer_tool_is_left_alone(world: World) -> None:
    with open(world.root.path + "/format", "w") as file:
        json.dump({"format": 9, "readable_from": 2}, file)
    with pytest.raises(errors.HostError) as problem:
        world.root.prepare()
    assert problem.value.kind == "newer-format"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": "x"}'])
def test_a_damaged_record_is_a_row_and_not_a_crash(held: World, text: str) -> None:
    held.launch(document())
    path = held.root.instance(OWNER, "web-9.0123abcd")
    os.makedirs(path)
    with open(path + "/record.json", "w") as file:
        file.write(text)
    states = held.states()
    assert states == {KEY: "running", "web-9.0123abcd": "damaged"}
    assert held.row("web-9.0123abcd")["why"]
    held.retire("web-9.0123abcd")
    assert held.states() == {KEY: "running"}


def test_a_record_that_says_something_else_by_now_is_damaged_and_one_that_is_only_laid_out_anew_is_not(
    held: World,
) -> None:
    held.launch(document(memory=16 << 20), document("web-1"))
    path = Path(held.root.instance(OWNER, KEY), "record.json")
    path.write_text(json.dumps(json.loads(path.read_text()), indent=2) + "\n")
    assert set(held.states().values()) == {"running"}
    path.write_text(path.read_text().replace(str(16 << 20), str(48 << 20)))
    assert held.states() == {KEY: "damaged", "web-1.0123abcd": "running"}
    assert held.row(KEY)["why"] == f"{path} was edited by hand"
    outcome = held.launch(document(memory=16 << 20))[0]
    assert outcome["problem"]["kind"] == "damaged"
    held.retire(KEY)
    assert held.states() == {"web-1.0123abcd": "running"}


def test_images_are_kept_while_a_record_is_unreadable(held: World) -> None:
    sha = held.stage(b"kernel")
    os.makedirs(held.root.instance(OWNER, "web-9.0123abcd"))
    held.do("collect-garbage")
    assert held.survey()["images"] == [sha]


def test_destroy_leaves_retired_records_and_volumes_only(held: World) -> None:
    sha = held.stage(b"kernel")
    held.do("volume", action="create", name="orders", size=1)
    held.launch(document(images=[sha]))
    held.retire(KEY)
    held.do("record-applied", policy={}, hosts=[])
    held.do("collect-garbage", keep_retired=5, end=True)
    assert sorted(os.listdir(held.root.fleet(OWNER))) == ["retired", "volumes"]
    assert held.survey()["images"] == []


def test_namesakes_are_named(held: World) -> None:
    other = World(held.root.path)
    other.do("lease", **{"owner": "shop-other", "mark": "shop", "id": "other"})
    assert held.survey()["namesakes"] == ["shop-other"]
    assert other.connection.lease is not None
    other.connection.lease.close()


def test_the_stand_in_is_what_was_asked_for(held: World) -> None:
    held.launch(document())
    with open(f"/proc/{held.pid(KEY)}/cmdline", "rb") as file:
        assert file.read().split(b"\0")[:2] == [word.encode() for word in SLEEP]
