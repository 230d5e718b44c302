"""A denial is laid at SELinux's door only where it enforces."""

from pathlib import Path

import pytest

from unictl.onhost.platform import selinux


def test_a_denial_is_laid_at_selinuxs_door_only_where_it_enforces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enforce = tmp_path / "enforce"
    monkeypatch.setattr(selinux, "ENFORCE_PATH", str(enforce))
    denied, taken = "cannot bind socket (Permission denied) for [*:8080]", "cannot bind socket (Address already in use)"
    assert selinux.capability_notes() == []
    for text, lacks, remedy in ((None, 0, "else"), ("0", 0, "else"), ("1", 1, selinux.REMEDY)):
        if text is not None:
            enforce.write_text(text)
        assert len(selinux.capability_notes()) == lacks
        assert selinux.denial_hint(denied, "else") == remedy
        assert selinux.denial_hint(taken, "else") == "else"
