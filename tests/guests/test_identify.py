"""What a file is, from synthesised headers; and bytes made to break the reader."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.guests import linux_guest, synthetic_images
from unictl.guests.identify import identify
from unictl.guests.image_facts import BOOT_PROTOCOLS, FILE_KINDS, ImageFacts
from unictl.images.file_facts import read_file_facts

HELLO = Path(__file__).parents[2] / "playbooks/hello/hello.elf"


@pytest.mark.parametrize("bits", [32, 64])
def test_a_pvh_note_is_found_in_either_class(bits: int) -> None:
    facts = identify(synthetic_images.elf(bits=bits, notes=(synthetic_images.PVH,)))
    assert (facts.kind, facts.protocols, facts.notes["xen.pvh"]) == (f"elf{bits}", ("pvh",), "0x100000")


def test_another_owners_note_of_the_same_type_is_no_pvh_entry() -> None:
    assert identify(synthetic_images.elf(notes=(("GNU", 18, b"\0\0\0\0"),))).protocols == ()


@pytest.mark.parametrize("flags", [0, 1 << 16])
def test_multiboot_with_and_without_load_addresses(flags: int) -> None:
    facts = identify(synthetic_images.elf(bits=64, body=synthetic_images.multiboot(flags=flags)))
    assert facts.protocols == ("multiboot",)
    assert facts.address_flag == bool(flags)


def test_a_multiboot_magic_with_a_wrong_checksum_is_none() -> None:
    assert identify(synthetic_images.elf(body=struct.pack("<III", 0x1BADB002, 0, 7))).protocols == ()


def test_a_multiboot_header_behind_the_first_8_kib_is_none() -> None:
    assert identify(synthetic_images.elf(body=bytes(8192) + synthetic_images.multiboot())).protocols == ()


def test_a_bzimage_names_its_version_and_family() -> None:
    facts = identify(synthetic_images.bzimage("6.1.0-26-cloud-amd64"))
    assert (facts.kind, facts.protocols, facts.family) == ("bzimage", ("linux",), "linux")
    assert facts.notes == {"linux.version": "6.1.0-26-cloud-amd64"}


def test_an_uncompressed_linux_tells_its_family_by_xens_notes() -> None:
    facts = identify(synthetic_images.elf(notes=(("Xen", 6, b"linux\0"), synthetic_images.PVH)))
    assert (facts.family, facts.protocols) == ("linux", ("pvh",))


def test_a_solo5_note_gives_target_and_abi() -> None:
    value = struct.pack("<IIII", 3, 2, 0, 0)
    facts = identify(
        synthetic_images.elf(notes=(("Solo5", 0x31494241, value),), body=synthetic_images.multiboot(flags=1 << 16))
    )
    assert facts.family == "mirage"
    assert facts.notes == {"solo5.target": "virtio", "solo5.abi": "2"}


def test_unikraft_is_guessed_by_its_section() -> None:
    facts = identify(
        synthetic_images.elf(bits=32, sections=(".text", ".uk_bootinfo"), body=synthetic_images.multiboot())
    )
    assert (facts.family, facts.kind) == ("unikraft", "elf32")


@pytest.mark.parametrize(
    ("data", "kind", "protocols"),
    [
        (synthetic_images.disk(), "disk", ("bios",)),
        (b"QFI\xfb" + bytes(600), "qcow2", ()),
        (linux_guest.cpio({"init": b"x"}), "cpio", ()),
        (b"\x1f\x8b\x08" + bytes(20), "gzip", ()),
        (b"", "unknown", ()),
        (b"\x7fELF", "unknown", ()),
    ],
)
def test_other_files_by_their_magic(data: bytes, kind: str, protocols: tuple[str, ...]) -> None:
    facts = identify(data)
    assert (facts.kind, facts.protocols, facts.size) == (kind, protocols, len(data))


@pytest.mark.skipif(not HELLO.exists(), reason="the hello guest is not built")
def test_the_hello_guest_boots_by_pvh_and_a_file_says_what_its_bytes_say() -> None:
    assert read_file_facts(HELLO) == identify(HELLO.read_bytes())
    assert identify(HELLO.read_bytes()).protocols == ("pvh",)


def test_a_known_digest_is_not_computed_again() -> None:
    assert identify(b"abc", sha256="f" * 64).sha256 == "f" * 64


@given(
    facts=st.builds(
        ImageFacts,
        sha256=st.just("0" * 64),
        size=st.integers(0),
        kind=st.sampled_from(FILE_KINDS),
        protocols=st.lists(st.sampled_from(BOOT_PROTOCOLS), unique=True).map(tuple),
        notes=st.dictionaries(st.text(), st.text()),
        family=st.text(),
        address_flag=st.booleans(),
    )
)
def test_facts_survive_their_plain_form(facts: ImageFacts) -> None:
    assert ImageFacts.from_json(facts.to_json()) == facts


SEEDS = (
    synthetic_images.elf(
        bits=32, notes=(synthetic_images.PVH, ("Solo5", 0x31494241, bytes(16))), sections=(".uk_bootinfo",)
    ),
    synthetic_images.elf(
        bits=64, notes=(synthetic_images.PVH, ("unictl", 1, b"plain")), sections=(".a",), body=bytes(64)
    ),
    synthetic_images.bzimage(),
    synthetic_images.disk(),
)


@given(st.binary(max_size=9000))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    assert identify(data).kind in FILE_KINDS


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 511), st.binary(min_size=1, max_size=8)), max_size=12))
def test_no_damage_to_a_header_makes_it_raise(seed: bytes, damages: list[tuple[int, bytes]]) -> None:
    data = bytearray(seed)
    for at, value in damages:
        data[at : at + len(value)] = value
    facts = identify(bytes(data))
    assert facts.kind in FILE_KINDS
    assert ImageFacts.from_json(facts.to_json()) == facts


@given(st.sampled_from(SEEDS), st.integers(0, 5000))
def test_no_cut_makes_it_raise(seed: bytes, length: int) -> None:
    assert identify(seed[:length]).size == min(length, len(seed))
