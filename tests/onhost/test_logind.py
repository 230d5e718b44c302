"""Whether logind ends what a session leaves running, from its configuration and where a process belongs."""

from pathlib import Path

import pytest

from unictl.onhost.survey import capabilities

SESSION = b"0::/user.slice/user-1000.slice/session-3.scope\n"


def told(folder: Path, **files: str) -> tuple[str, ...]:
    """Folders of configuration, the first before the others; files by ``etc_`` or ``lib_`` and their name."""
    for name, text in files.items():
        place, _, rest = name.partition("_")
        path = folder / place / ("logind.conf" if rest == "main" else f"logind.conf.d/{rest}.conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[Login]\n{text}\n")
    return f"{folder}/etc", f"{folder}/lib"


@pytest.mark.parametrize(
    ("files", "ends"),
    [
        ({}, False),
        ({"etc_main": "#KillUserProcesses=yes"}, False),
        ({"etc_main": "KillUserProcesses=yes"}, True),
        ({"lib_main": "KillUserProcesses=true"}, True),
        ({"etc_main": "", "lib_main": "KillUserProcesses=yes"}, False),
        ({"etc_main": "KillUserProcesses=yes", "etc_50": "KillUserProcesses = no"}, False),
        ({"etc_40": "KillUserProcesses=no", "lib_50": "KillUserProcesses=yes"}, True),
        ({"etc_50": "KillUserProcesses=no", "lib_50": "KillUserProcesses=yes"}, False),
    ],
)
def test_the_setting_in_force_decides(tmp_path: Path, files: dict[str, str], ends: bool) -> None:
    assert capabilities.kills_user_processes(SESSION, told(tmp_path, **files)) is ends


def test_a_drop_in_that_leads_nowhere_says_nothing_and_hides_its_namesake(tmp_path: Path) -> None:
    there = told(tmp_path, lib_50="KillUserProcesses=yes")
    (tmp_path / "etc" / "logind.conf.d").mkdir(parents=True)
    (tmp_path / "etc" / "logind.conf.d" / "50.conf").symlink_to("/dev/null")
    assert not capabilities.kills_user_processes(SESSION, there)


def test_what_belongs_to_no_session_ends_with_none(tmp_path: Path) -> None:
    there = told(tmp_path, etc_main="KillUserProcesses=yes")
    assert not capabilities.kills_user_processes(b"0::/system.slice/ssh.service\n", there)
