"""What cannot work is found before a host is asked, with its place and a next step."""

from dataclasses import replace

from tests.instances.samples import FACTS, HELLO, KERNEL, fleet, hello, service
from unictl.fleet.model import MIB, Image, Network, Port, Source
from unictl.fleet.references import parse_text
from unictl.instances.launch.preflight import check_launches


def test_the_hello_fleet_has_no_findings() -> None:
    assert check_launches(hello(), FACTS) == ()


def test_a_familys_finding_comes_with_its_place() -> None:
    found = check_launches(fleet(service(memory=1 * MIB)), FACTS)
    assert [(each.path, each.code) for each in found] == [(("services", "api", "memory"), "too-little-memory")]
    assert all(each.summary and each.hint for each in found)


def test_a_family_or_hypervisor_that_there_is_no_support_for_yet_is_said_to_be_so() -> None:
    declared = fleet(service(image="odd", hypervisor="qemo"), images={"odd": Image(name="odd", guest="rumprun")})
    found = check_launches(declared, {"odd": {"kernel": KERNEL}})
    assert [(each.path, each.code, each.summary) for each in found] == [
        (("services", "api", "hypervisor"), "hypervisor-not-supported", "hypervisor 'qemo' is not supported yet"),
        (("images", "odd", "guest"), "guest-not-supported", "guest 'rumprun' is not supported yet"),
    ]
    assert found[0].hint == "did you mean qemu?"


def test_a_network_that_there_is_no_support_for_yet_is_said_to_be_so() -> None:
    networks = {"back": Network(name="back", mode="vxlan"), "tiny": Network(name="tiny", subnet="10.0.0.0/30")}
    declared = fleet(service(network=("back",)), service("web", network=("tiny",)), networks=networks)
    assert [(each.path, each.code) for each in check_launches(declared, FACTS)] == [
        (("networks", "back", "mode"), "network-not-supported"),
        (("networks", "tiny", "subnet"), "network-not-supported"),
    ]


def test_a_literal_token_of_the_launch_document_is_refused() -> None:
    texts = tuple(map(parse_text, ("{secret:token}", "{run}", "{accel}", "{harmless}")))
    found = check_launches(fleet(service(args=texts)), FACTS)
    assert [(each.path[-1], each.code) for each in found] == [(index, "reserved-token") for index in range(3)]


def test_a_command_line_that_qemus_configuration_file_does_not_carry() -> None:
    found = check_launches(fleet(service(args=(parse_text("x" * 1100),))), FACTS)
    assert [(each.path, each.code) for each in found] == [(("services", "api", "args"), "command-line-too-long")]
    assert found[0].summary == (
        "the guest's command line takes 1101 bytes; QEMU's configuration file carries at most 1012"
    )


def test_a_command_line_that_only_grows_too_long_once_resolved_is_found_before_any_host_is_asked() -> None:
    texts = tuple(parse_text("${service.api.h}") for _ in range(61))
    ports = (Port(name="h", number=80),)
    found = check_launches(fleet(service(args=texts, ports=ports)), FACTS)
    assert [(each.path, each.code) for each in found] == [(("services", "api", "args"), "command-line-too-long")]
    assert check_launches(fleet(service(args=texts[:40], ports=ports)), FACTS) == ()


def test_what_two_services_have_in_common_is_said_once() -> None:
    bad = {"hello": {"kernel": replace(KERNEL, protocols=("multiboot",))}}
    found = check_launches(fleet(service("one"), service("two")), bad)
    assert [(each.path, each.code) for each in found] == [(("images", "hello", "kernel"), "wrong-boot-protocol")]


def test_an_image_that_was_not_resolved_is_somebody_elses_problem() -> None:
    assert check_launches(fleet(service(), images={"hello": HELLO}), {}) == ()
    assert check_launches(fleet(service(image="missing")), FACTS) == ()
    unreadable = {"hello": Image(name="hello", guest="plain", kernel=Source(path="a"), initrd=Source(path="b"))}
    for facts in ({}, {"initrd": KERNEL}, {"kernel": KERNEL}):
        assert check_launches(fleet(service(), images=unreadable), {"hello": facts}) == ()
