"""Unikraft's argv, booted for real with a multiboot guest of ours in its place: none of theirs is at hand."""

from pathlib import Path

import pytest

from tests.guests import synthetic_images
from tests.guests.boot_samples import boot
from tests.guests.qemu_runner import QEMU, running
from unictl.guests.exit_rules import Verdict, classify_exit
from unictl.guests.identify import identify
from unictl.guests.unikraft import UNIKRAFT
from unictl.hypervisors.qemu import build_launch

pytestmark = [pytest.mark.real, pytest.mark.skipif(not QEMU, reason="no qemu-system-x86_64 here")]


@pytest.mark.parametrize("machine_type", UNIKRAFT.machines)
@pytest.mark.parametrize(("code", "verdict"), [(42, Verdict.CRASH), (41, Verdict.CLEAN)])
def test_words_and_ends_on_its_machines(tmp_path: Path, machine_type: str, code: int, verdict: Verdict) -> None:
    path = tmp_path / "echo.elf"
    path.write_bytes(synthetic_images.multiboot_echo(code))
    facts = identify(path.read_bytes())
    fields = {
        "name": "web-0",
        "version": "0.17",
        "hostname": "web-0",
        "args": ["/nginx", "a b"],
        "machine": machine_type,
    }
    handed = boot({**fields, "environment": {"KEY": "x,y"}, "memory": 8 << 20})
    made = build_launch(UNIKRAFT, {"kernel": facts}, handed)
    with running(made, {facts.sha256: path}) as machine:
        ended = classify_exit(made.exits, machine.ended())
    assert machine.console.endswith(f"{path} {UNIKRAFT.command_line(handed)}")
    assert ended.verdict is verdict
