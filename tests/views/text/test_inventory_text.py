"""Images and volumes at 80 columns: who uses them, why they stay, what is damaged."""

from typing import Any

from unictl.views.text import inventory_text
from unictl.views.text.layout import join_lines

HOSTS = [
    {"name": "hv1", "reachable": True, "disk_free": 1 << 30},
    {"name": "hv2", "reachable": False, "why": "ssh: its name cannot be resolved"},
]


def image(digest: str, **more: Any) -> dict[str, Any]:
    row = {
        "host": "hv1",
        "digest": digest * 64,
        "size": 41 << 20,
        "state": "whole",
        "names": [],
        "used": [],
        "kept": [],
    }
    return {**row, **more}


def shown(*rows: dict[str, Any]) -> list[str]:
    document = {"fleet": "shop", "hosts": HOSTS, "images": list(rows)}
    return join_lines(inventory_text.render_images(document)).splitlines()


def test_an_image_shows_its_name_its_users_and_the_revisions_it_is_kept_for() -> None:
    used = [{"owner": "shop-5f", "key": f"api-{n}.7f3c9a1b"} for n in range(4)]
    kept = [{"owner": "shop-5f", "revision": "c0ffee" * 6}, {"owner": "shop-5f", "revision": "d00dad" * 6}]
    lines = shown(image("a", names=["api.kernel"], used=used, kept=kept), image("b"))
    assert lines[:3] == [
        "HOST  IMAGE       DIGEST        SIZE    USED BY           KEPT FOR",
        "hv1   api.kernel  aaaaaaaaaaaa  41 MiB  api-0 and 3 more  c0ffeec0, d00dadd0",
        "hv1   -           bbbbbbbbbbbb  41 MiB  -                 -",
    ]
    assert lines[-1] == "shop: 2 images, 82 MiB, on 2 hosts, 1 unreachable."


def test_a_damaged_image_and_a_silent_host_are_told_in_sentences() -> None:
    lines = " ".join(shown(image("a", state="damaged")))
    assert "aaaaaaaaaaaa  damaged" in lines
    assert "hv1: image aaaaaaaaaaaa is damaged" in lines
    assert "the next apply there drops it" in " ".join(lines.split())
    assert "hv2: ssh: its name cannot be resolved" in lines


def test_what_was_applied_without_a_commit_is_named_by_its_time() -> None:
    lines = shown(image("a", kept=[{"owner": "shop-5f", "revision": "", "at": 1795834822.5}]))
    assert lines[1].endswith("  11-28 03:00Z")


def test_no_row_is_wider_than_the_terminal() -> None:
    long = image("a", names=["a-very-long-name-of-an-image.kernel", "another-long-name-of-it.kernel"])
    assert all(len(line) <= 80 for line in shown(long))


def test_a_volume_says_what_keeps_it_and_how_one_that_nothing_keeps_is_deleted() -> None:
    row = {"host": "hv1", "size": 2 << 30, "allocated": 2 << 30, "used_by": "", "in_fleet": False, "protected": ""}
    used = {**row, "name": "orders-0", "used_by": "db-0.7f3c9a1b", "protected": "db-0.7f3c9a1b has it"}
    document = {"fleet": "shop", "hosts": HOSTS[:1], "volumes": [{**row, "name": "old"}, used]}
    lines = join_lines(inventory_text.render_volumes(document)).splitlines()
    assert lines[1].split() == ["old", "hv1", "2", "GiB", "2", "GiB", "-", "nothing"]
    assert lines[2].endswith("db-0.7f3c9a1b has it")
    assert "To delete old and its data: unictl apply -allow-destroy volume:old" in lines
    assert lines[-1] == "shop: 2 volumes, 4 GiB, on 1 host."
