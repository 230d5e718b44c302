"""A survey's reply becomes a Survey; what a newer host side adds is passed over."""

from typing import Any

from tests.instances.samples import FACTS, hello, live
from unictl.instances.desired.instance import desired_instances
from unictl.instances.observed.host_state import Claim, LiveVolume, MissingCapability, decode_survey
from unictl.instances.observed.survey_facts import (
    ApplyDurations,
    DamagedFile,
    GateResult,
    HypervisorProgram,
    OtherStore,
)

HOST: dict[str, Any] = {
    "id": "7f",
    "boot_id": "b",
    "clock": 1.5,
    "root": "/var/lib/unictl",
    "memory": 8,
    "memory_free": 4,
    "cpus": 2,
    "disk_free": 16,
    "hypervisors": {"qemu": {"version": "7.2.22"}},
    "lacks": [{"code": "no-kvm", "text": "/dev/kvm cannot be used"}],
    "newer": True,
}
NAMED = ("name", "generation", "service", "ordinal", "launch", "fingerprint", "state")
REPLY: dict[str, Any] = {
    "host": HOST,
    "instances": [],
    "retired": {"api-0": 3},
    "volumes": [{"name": "data", "size": 1, "used_by": "db-0.00000001"}],
    "images": ["ab" * 32],
    "claims": [{"kind": "port", "port": 80, "bind": "0.0.0.0"}, {"kind": "memory", "owner": "o", "amount": 5}],
    "ingress": {"state": "absent"},
    "newer": 1,
}


def test_a_reply_becomes_a_survey() -> None:
    said = decode_survey("hv1", REPLY)
    assert (said.host, said.host_id, said.memory, said.supervision) == ("hv1", "7f", 8, "detached")
    assert said.missing_capabilities == (MissingCapability(code="no-kvm", text="/dev/kvm cannot be used"),)
    assert said.volumes == (LiveVolume(name="data", size=1, used_by="db-0.00000001"),)
    assert said.claims == (
        Claim(kind="port", owner="", holder="", port=80, bind="0.0.0.0"),
        Claim(kind="memory", owner="o", holder="", amount=5),
    )


def test_a_short_row_becomes_a_live_instance_on_its_host() -> None:
    row = {
        "name": "front-0",
        "generation": "00000001",
        "service": "front",
        "ordinal": 0,
        "launch": 1,
        "fingerprint": "1:abc",
        "state": "running",
        "newer": 1,
    }
    (one,) = decode_survey("hv1", {**REPLY, "instances": [row]}).instances
    assert (one.key, one.host, one.spec, one.volumes) == ("front-0.00000001", "hv1", None, ())


def test_what_was_wished_reads_back_from_its_row() -> None:
    counter = live(desired_instances(hello(), FACTS)[0], "here")
    row = {name: getattr(counter, name) for name in (*NAMED, "memory", "overhead", "proven")}
    (one,) = decode_survey(
        "here", {**REPLY, "instances": [{**row, "volumes": ["counter"], "spec": counter.spec}]}
    ).instances
    assert one == counter


def test_records_of_earlier_applies_become_values() -> None:
    reply = {
        **REPLY,
        "applies": [{"at": 1.5, "took": {"launch": [500, 4]}, "staged": [9, 3]}, {"at": 2, "took": {}, "newer": 1}],
        "gates": [{"service": "api", "fingerprint": "1:ab", "at": 3, "healthy": False}],
    }
    survey = decode_survey("hv1", reply)
    assert survey.applies == (
        ApplyDurations(at=1.5, took={"launch": (500, 4)}, staged=(9, 3)),
        ApplyDurations(at=2.0, took={}),
    )
    assert survey.gates == (GateResult(service="api", fingerprint="1:ab", at=3.0, healthy=False),)


def test_programs_other_stores_and_damaged_files_become_values() -> None:
    reply = {
        **REPLY,
        "elsewhere": [{"root": "/var/lib/unictl", "id": "7f"}],
        "spoiled": [{"path": "/x", "text": "/x is no record", "hint": "move it away", "bars": True}],
    }
    survey = decode_survey("hv1", reply)
    assert survey.hypervisors == {"qemu": HypervisorProgram(version="7.2.22")}
    assert survey.other_stores == (OtherStore(root="/var/lib/unictl", id="7f"),)
    assert survey.damaged_files == (
        DamagedFile(path="/x", text="/x is no record", hint="move it away", blocks_apply=True),
    )
