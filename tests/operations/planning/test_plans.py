"""A plan, or a page of it, that cannot be saved says so."""

from pathlib import Path

import pytest

from unictl.diagnostics.failure import Failure, InvalidFleet
from unictl.operations.planning.plans import open_plan, write_private


@pytest.mark.parametrize("into", [".", "/", "there"])
def test_what_is_saved_into_a_folder_is_a_failure_with_its_name(
    into: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure, match=f"cannot be saved to {into}: Is a directory"):
        write_private(Path(into), "text")
    assert [each.name for each in tmp_path.iterdir()] == ["there"]


def test_what_is_no_text_is_no_saved_plan(tmp_path: Path) -> None:
    (tmp_path / "hello.elf").write_bytes(b"\x7fELF\x90")
    with pytest.raises(InvalidFleet, match=r"hello\.elf is no saved plan: it is no text$"):
        open_plan(tmp_path / "hello.elf")
