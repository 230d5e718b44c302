"""The launch document: everything a host needs to start one guest, and no secret."""

import json
from typing import Any

from tests.instances.samples import FACTS, HELLO_ENDPOINTS, HTTP, fleet, hello, located, service, world
from unictl.fleet.model import MIB, Fleet, Network, Secret, Volume
from unictl.fleet.references import parse_text
from unictl.instances.desired.fingerprint import fingerprint, generation
from unictl.instances.desired.instance import PlacedInstance, desired_instances


def made(declared: Fleet, name: str, endpoints: Any = HELLO_ENDPOINTS) -> PlacedInstance:
    host = next(iter(declared.hosts))
    wished = next(each for each in desired_instances(declared, FACTS) if each.name == name)
    return located(declared, wished, host, endpoints, world(declared))


def line(found: PlacedInstance) -> str:
    """The guest's command line in the boot file."""
    config: str = found.document["run"]["config"]
    return next(row for row in config.splitlines() if row.startswith("append"))


def test_a_document_says_what_it_is_and_what_it_was_made_from() -> None:
    found = made(hello(), "front-2")
    document = found.document
    assert {key: document[key] for key in ("name", "service", "ordinal", "launch", "commit", "protect", "restart")} == {
        "name": "front-2",
        "service": "front",
        "ordinal": 2,
        "launch": 1,
        "commit": "",
        "protect": False,
        "restart": "on-crash",
    }
    assert document["fingerprint"] == fingerprint(document["spec"])
    assert document["generation"] == generation(document["fingerprint"], 1) == found.generation
    assert document["resolved"] == {"service.counter.http": "10.0.2.2:20000"}


def test_a_document_is_plain_json_and_the_same_every_time() -> None:
    texts = {json.dumps(made(hello(), "front-0").document, sort_keys=True) for _ in range(3)}
    assert len(texts) == 1


def test_the_run_holds_what_the_host_takes() -> None:
    run = made(hello(), "counter-0").document["run"]
    assert run["hypervisor"] == "qemu" and run["volumes"] == ["counter"] and run["images"] == ["ab" * 32]
    assert run["memory"] == 64 * MIB and run["cpus"] == 1
    assert run["overhead"] == desired_instances(hello(), FACTS)[0].overhead
    assert list(made(hello(), "counter-0").forwards) == run["forwards"]


def test_references_mean_what_they_resolved_to() -> None:
    assert "--counter=10.0.2.2:20000 --greeting=hello" in line(made(hello(), "front-0"))
    words = "--me=${instance.name}/${instance.ordinal}@${host.name}=${instance.address},${fleet.name}"
    found = made(fleet(service(replicas=2, args=(parse_text(words),))), "api-1", {})
    assert "--me=api-1/1@hv1=10.0.2.15,shop" in line(found)


def test_a_secret_stays_a_token() -> None:
    declared = fleet(
        service(
            args=(parse_text("--password=${secret.db-password}"),), environment={"KEY": parse_text("${secret.key}")}
        ),
        secrets={name: Secret(name=name, env="X") for name in ("db-password", "key")},
    )
    found = made(declared, "api-0", {})
    assert "{secret:db-password}" in line(found) and "{secret:key}" in line(found)
    assert found.document["run"]["secrets"] == ["db-password", "key"]
    assert found.resolved == {}


def test_the_mac_and_the_identity_follow_from_names_alone() -> None:
    def argv(declared: Fleet, name: str) -> list[str]:
        return list(made(declared, name, {}).document["run"]["argv"])

    def of(words: list[str], key: str) -> str:
        return next(word for word in words if key in word).split(key)[1]

    declared = fleet(service(replicas=2))
    macs = {of(argv(declared, name), "mac=") for name in ("api-0", "api-1", "api-0")}
    assert len(macs) == 2
    assert of(argv(declared, "api-0"), "mac=") != of(argv(fleet(service(), id="other"), "api-0"), "mac=")
    words = argv(declared, "api-0")
    assert words[words.index("-uuid") + 1] == argv(declared, "api-0")[words.index("-uuid") + 1]


def test_a_network_of_ones_own_reaches_the_guest() -> None:
    own = Network(name="own", subnet="192.168.7.0/24", dns="9.9.9.9")
    declared = fleet(service(network=("own",)), networks={"own": own})
    assert "net.ip=192.168.7.15/24 net.gateway=192.168.7.2 net.dns=9.9.9.9" in line(made(declared, "api-0", {}))


def test_disks_come_by_device_name_so_that_their_order_in_the_file_never_matters() -> None:
    volumes = {name: Volume(name=name, size=MIB) for name in ("data", "log")}
    one = fleet(service(volumes={"b": "log", "a": "data"}, ports=HTTP), volumes=volumes)
    two = fleet(service(volumes={"a": "data", "b": "log"}, ports=HTTP), volumes=volumes)
    assert made(one, "api-0").document == made(two, "api-0").document
    assert made(one, "api-0").document["run"]["volumes"] == ["data", "log"]
