"""The start of the host side, by any login shell."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.onhost.world import short_folder
from unictl.hosts import archive, bootstrap, local
from unictl.onhost.protocol import frames


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "fish", "csh", "zsh"])
def test_the_quoted_line_starts_under_any_login_shell(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    folder = short_folder()
    data, digest = archive.compressed_archive()
    line = bootstrap.quote_command(bootstrap.command_line("abcd", len(data), digest, root=folder))
    done = subprocess.run([shell, "-c", line], input=data, capture_output=True, check=False, timeout=20)
    shutil.rmtree(folder)
    assert done.stdout.startswith(b"\0unictl abcd 3.")
    body = done.stdout.partition(b"\n")[2]
    assert frames.HEADER.unpack(body[: frames.HEADER.size])[1:] == (0, frames.EVENT)


def test_a_damaged_archive_is_refused() -> None:
    data, digest = archive.compressed_archive()
    words = bootstrap.command_line("abcd", len(data), digest)
    done = subprocess.run(words, input=b"\0" * len(data), capture_output=True, check=False, timeout=20)
    assert done.returncode == 74
    assert bootstrap.EXIT_REASONS[74]


def test_an_archive_cut_short_is_told_apart() -> None:
    data, digest = archive.compressed_archive()
    words = bootstrap.command_line("abcd", len(data), digest)
    done = subprocess.run(words, input=data[:100], capture_output=True, check=False, timeout=20)
    assert done.returncode == 73


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "fish", "csh", "zsh"])
def test_become_goes_through_a_sudo_that_asks_nothing_and_speaks_no_other_language(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\necho "$LC_ALL $1 $2 $3 $4"\n')
    sudo.chmod(0o755)
    line = bootstrap.quote_command(bootstrap.command_line("n", 1, "d", become=True))
    german = {**os.environ, "LC_ALL": "de_DE.UTF-8", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([shell, "-c", line], env=german, capture_output=True, text=True, check=False, timeout=20)
    assert done.stdout == "C -n -H -- sh\n"


def test_a_sudo_that_is_missing_is_told_as_that(tmp_path: Path) -> None:
    for name in ("env", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    words = bootstrap.command_line("n", 1, "d", become=True)
    done = subprocess.run(words, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=20)
    assert local.explain_exit(done.returncode, done.stderr)[0] == "there is no sudo on it"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("sudo: a password is required", "sudo asks for a password"),
        ("sudo: sorry, a password is required to run sudo", "sudo asks for a password"),
        ("sudo: sorry, you must have a tty to run sudo", "sudo wants a terminal there, by requiretty"),
        ("ops is not in the sudoers file.", "sudo does not allow it to this user"),
        ("Sorry, user ops is not allowed to execute '/bin/sh' as root on hv1.", "sudo does not allow it to this user"),
        ("sudo: account validation failure, is your account locked?", "sudo takes this user's account for locked"),
        ("sudo: PAM account management error: Permission denied", "sudo takes this user's account for locked"),
        (
            "sudo: unable to resolve host hv1: Name unknown\nsudo: no valid sudoers sources found, quitting",
            "sudo fails ",
        ),
        ("sudo: unable to resolve host hv1: Name unknown", ""),
    ],
)
def test_what_sudo_says_no_with_is_told_by_its_cause(said: str, why: str) -> None:
    told = local.explain_exit(1, said)
    assert told[0].startswith(why) and bool(told[0]) == bool(why) == bool(told[1])
    assert "unable to resolve" not in told[0]


@pytest.mark.parametrize(
    "said", ["env: »sudo“: Datei oder Verzeichnis nicht gefunden", "env: can't execute 'sudo': No"]
)
def test_a_missing_sudo_is_known_in_other_words_too(said: str) -> None:
    assert local.explain_exit(127, said)[0] == "there is no sudo on it"


def test_an_end_by_127_is_a_missing_python_only_where_that_was_said() -> None:
    assert bootstrap.explain_exit(127, "no-python3")[0] == "there is no python3 on it"
    assert bootstrap.explain_exit(127, "bash: Zeile 1: sh: Kommando nicht gefunden.") == ("", "")


def test_nothing_of_the_host_side_is_left_on_disk(tmp_path: Path) -> None:
    data, digest = archive.compressed_archive()
    words = bootstrap.command_line("abcd", len(data), digest, root=str(tmp_path / "root"))
    subprocess.run(words, input=data, capture_output=True, check=False, timeout=20, cwd=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]
    assert not list(tmp_path.rglob("*.py*"))


def test_a_host_without_a_place_for_its_store_says_which_and_why() -> None:
    said = "Welcome\nunictl: the state folder /tmp/s lies under /tmp; set XDG_STATE_HOME elsewhere"
    assert bootstrap.explain_exit(72, said) == (
        "the state folder /tmp/s lies under /tmp",
        "set XDG_STATE_HOME elsewhere",
    )
    assert bootstrap.explain_exit(72, "") == bootstrap.EXIT_REASONS[72]
    assert bootstrap.explain_exit(73, said) == bootstrap.EXIT_REASONS[73]
