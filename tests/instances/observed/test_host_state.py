"""A survey's reply becomes a Survey; what a newer host side adds is passed over."""

from typing import Any

from tests.instances.samples import FACTS, hello, live
from unictl.instances.desired.instance import desired_instances
from unictl.instances.observed.host_state import Claim, LiveVolume, MissingCapability, decode_survey

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
