"""Contradictions that the families refuse before anything is touched."""

from dataclasses import replace
from typing import Any

import pytest

from tests.guests import linux_guest, synthetic_images
from unictl.diagnostics.finding import Finding
from unictl.fleet.model import MIB, File, Image, Service
from unictl.fleet.references import parse_text
from unictl.guests.families import FAMILIES
from unictl.guests.identify import identify
from unictl.guests.image_facts import ImageFacts

PVH = identify(synthetic_images.elf(bits=32, notes=(synthetic_images.PVH,)))
MULTIBOOT32 = identify(synthetic_images.elf(bits=32, body=synthetic_images.multiboot()))
MULTIBOOT64 = identify(synthetic_images.elf(bits=64, body=synthetic_images.multiboot()))
ADDRESSED64 = identify(synthetic_images.elf(bits=64, body=synthetic_images.multiboot(flags=1 << 16)))
BOTH = identify(synthetic_images.elf(bits=32, notes=(synthetic_images.PVH,), body=synthetic_images.multiboot()))
BARE = identify(synthetic_images.elf(bits=64))
BZIMAGE = identify(synthetic_images.bzimage())
VMLINUX = identify(synthetic_images.elf(notes=(("Xen", 6, b"linux\0"), synthetic_images.PVH)))
CPIO = identify(linux_guest.cpio({"init": b"x"}))
DISK = identify(synthetic_images.disk())
GOOD = {"plain": PVH, "linux": BZIMAGE, "unikraft": MULTIBOOT32}


def findings(family: str, *, machine: str = "", version: str = "", parts: Any = None, **service: Any) -> list[Finding]:
    """What the family says of a service of one image."""
    facts: dict[str, ImageFacts] = {"kernel": GOOD[family]} if parts is None else parts
    chosen = FAMILIES[family]
    found = chosen.preflight(
        Service(name="api", image="api", **service),
        Image(name="api", guest=family, version=version),
        facts,
        machine or chosen.machines[0],
    )
    for finding in found:
        assert finding.hint and finding.summary, finding
        assert finding.path[:2] in (("services", "api"), ("images", "api"))
    return list(found)


def codes(family: str, **options: Any) -> list[str]:
    return [finding.code for finding in findings(family, **options)]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_fitting_image_has_no_findings(family: str) -> None:
    args = (parse_text("--greeting=${instance.name}"), parse_text("${secret.token}"))
    assert findings(family, args=args, environment={"MODE": parse_text("fast")}) == []


@pytest.mark.parametrize(
    ("family", "machine"), [("plain", "q35"), ("unikraft", "microvm"), ("linux", "pc"), ("linux", "none")]
)
def test_a_machine_the_family_does_not_run_on(family: str, machine: str) -> None:
    assert codes(family, machine=machine) == ["machine-not-supported"]


@pytest.mark.parametrize(
    ("family", "kernel", "expected"),
    [
        ("plain", MULTIBOOT32, ["wrong-boot-protocol"]),
        ("plain", BARE, ["wrong-boot-protocol"]),
        ("plain", BOTH, ["wrong-boot-protocol"]),
        ("plain", BZIMAGE, ["other-family", "wrong-boot-protocol"]),
        ("unikraft", PVH, ["wrong-boot-protocol"]),
        ("unikraft", MULTIBOOT64, ["wrong-boot-protocol"]),
        ("unikraft", ADDRESSED64, []),
        ("unikraft", VMLINUX, ["other-family", "wrong-boot-protocol"]),
        ("linux", VMLINUX, []),
        ("linux", BARE, ["wrong-boot-protocol"]),
        ("linux", DISK, ["wrong-boot-protocol"]),
    ],
)
def test_boot_protocols(family: str, kernel: ImageFacts, expected: list[str]) -> None:
    assert codes(family, parts={"kernel": kernel}) == expected


def test_an_image_without_a_kernel() -> None:
    assert [f.path for f in findings("plain", parts={})] == [("images", "api", "kernel")]


@pytest.mark.parametrize(
    ("family", "role", "facts", "expected"),
    [
        ("plain", "disk", DISK, ["file-not-used"]),
        ("unikraft", "disk", DISK, ["file-not-used"]),
        ("unikraft", "initrd", identify(b"\x1f\x8b\x08"), ["wrong-file"]),
        ("unikraft", "initrd", CPIO, []),
        ("linux", "initrd", CPIO, []),
        ("linux", "initrd", PVH, ["wrong-file"]),
        ("linux", "disk", DISK, []),
    ],
)
def test_files_in_the_place_of_others(family: str, role: str, facts: ImageFacts, expected: list[str]) -> None:
    assert codes(family, parts={"kernel": GOOD[family], role: facts}) == expected


@pytest.mark.parametrize(
    ("family", "memory", "expected"),
    [
        ("plain", 4 * MIB, []),
        ("plain", 4 * MIB - 1024, ["too-little-memory"]),
        ("plain", 8 << 30, ["too-much-memory"]),
        ("plain", 8 * MIB + 1, ["odd-memory"]),
        ("unikraft", 2 * MIB, ["too-little-memory"]),
        ("linux", 8 * MIB, ["too-little-memory"]),
    ],
)
def test_memory_out_of_bounds(family: str, memory: int, expected: list[str]) -> None:
    assert codes(family, memory=memory) == expected


def test_linux_needs_room_for_kernel_and_initrd() -> None:
    parts = {"kernel": replace(BZIMAGE, size=14 * MIB), "initrd": replace(CPIO, size=50 * MIB)}
    assert codes("linux", parts=parts, memory=64 * MIB) == ["too-little-memory"]
    assert codes("linux", parts=parts, memory=128 * MIB) == []


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("plain", "it's"),
        ("plain", 'a "word"'),
        ("plain", "two\nlines"),
        ("plain", "bell\a"),
        ("unikraft", "it's"),
        ("linux", 'a"b'),
        ("linux", "two words"),
        ("linux", "tab\tbed"),
    ],
)
def test_characters_no_quoting_can_carry(family: str, text: str) -> None:
    found = findings(family, args=(parse_text("fine"), parse_text(text)), environment={"KEY": parse_text(text)})
    assert {f.code for f in found} == {"unsafe-character"}
    assert {f.path for f in found} == {("services", "api", "args", 1), ("services", "api", "environment", "KEY")}


@pytest.mark.parametrize("key", ["A-B", "1A", "A.B", "", "A B"])
def test_names_that_are_no_variables(key: str) -> None:
    assert codes("plain", environment={key: parse_text("x")}) == ["bad-variable"]


def test_what_one_command_line_cannot_describe() -> None:
    assert codes("plain", network=("a", "b")) == ["too-many-networks"]
    assert codes("linux", network=("a", "b")) == ["too-many-networks"]
    assert codes("unikraft", network=("a", "b")) == []
    assert codes("unikraft", network=("a", "b"), version="0.16.0") == ["too-many-networks"]
    assert codes("plain", volumes={f"d{n}": f"v{n}" for n in range(8)}) == ["too-many-volumes"]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_files_are_refused_and_never_ignored(family: str) -> None:
    assert codes(family, files=(File(path="/a", source="a"),)) == ["files-not-supported"]


def test_unikraft_by_version() -> None:
    assert codes("unikraft", version="seventeen") == ["bad-version"]
    assert codes("unikraft", version="0.12", environment={"A": parse_text("b")}) == ["no-environment"]
    assert codes("unikraft", version="v0.13.1", environment={"A": parse_text("b")}) == []


def test_values_that_unikraft_would_read_as_the_end_of_its_list() -> None:
    assert codes("unikraft", environment={"A": parse_text("[x]")}) == ["unsafe-character"]
    assert codes("unikraft", args=(parse_text("[x]"),)) == []


@pytest.mark.parametrize(("family", "text"), [("unikraft", ""), ("unikraft", " x"), ("linux", ""), ("linux", "--")])
def test_arguments_that_get_lost(family: str, text: str) -> None:
    assert "lost-argument" in codes(family, args=(parse_text(text),))


def test_words_linux_keeps_for_itself() -> None:
    assert (
        codes("linux", environment={"root": parse_text("x"), "unictl_ip": parse_text("x")}) == ["kernel-parameter"] * 2
    )
    assert codes("linux", args=tuple(parse_text(str(n)) for n in range(40))) == ["too-many-words"]
