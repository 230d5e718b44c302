"""The start of the host side, by any login shell."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.onhost.world import short_folder
from unictl.hosts import archive, bootstrap
from unictl.onhost import wire


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "fish", "csh", "zsh"])
def test_the_quoted_line_starts_under_any_login_shell(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    folder = short_folder()
    data, digest = archive.packed()
    line = bootstrap.quoted(bootstrap.argv("abcd", len(data), digest, root=folder))
    done = subprocess.run([shell, "-c", line], input=data, capture_output=True, check=False, timeout=20)
    shutil.rmtree(folder)
    assert done.stdout.startswith(b"\0unictl abcd 3.")
    body = done.stdout.partition(b"\n")[2]
    assert wire.HEAD.unpack(body[: wire.HEAD.size])[1:] == (0, wire.EVENT)


def test_a_damaged_archive_is_refused() -> None:
    data, digest = archive.packed()
    words = bootstrap.argv("abcd", len(data), digest)
    done = subprocess.run(words, input=b"\0" * len(data), capture_output=True, check=False, timeout=20)
    assert done.returncode == 74
    assert bootstrap.EXITS[74]


def test_an_archive_cut_short_is_told_apart() -> None:
    data, digest = archive.packed()
    words = bootstrap.argv("abcd", len(data), digest)
    done = subprocess.run(words, input=data[:100], capture_output=True, check=False, timeout=20)
    assert done.returncode == 73


def test_become_goes_through_sudo_without_a_question() -> None:
    assert bootstrap.argv("n", 1, "d", become=True)[:4] == ("sudo", "-n", "-H", "--")


def test_nothing_of_the_host_side_is_left_on_disk(tmp_path: Path) -> None:
    data, digest = archive.packed()
    words = bootstrap.argv("abcd", len(data), digest, root=str(tmp_path / "root"))
    subprocess.run(words, input=data, capture_output=True, check=False, timeout=20, cwd=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]
    assert not list(tmp_path.rglob("*.py*"))


def test_a_host_without_a_place_for_its_store_says_which_and_why() -> None:
    said = "Welcome\nunictl: the state folder /tmp/s lies under /tmp; set XDG_STATE_HOME elsewhere"
    assert bootstrap.told(72, said) == ("the state folder /tmp/s lies under /tmp", "set XDG_STATE_HOME elsewhere")
    assert bootstrap.told(72, "") == bootstrap.EXITS[72]
    assert bootstrap.told(73, said) == bootstrap.EXITS[73]
