"""A revision is known where git can tell it, and nothing breaks where it cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

from unictl.diagnostics.failure import Failure
from unictl.revisions.repository import open_tree, read_revision


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "fleet.yaml").write_text("first")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "Open the shop")
    return tmp_path / "shop"


def test_a_clean_tree_is_of_its_commit(repository: Path) -> None:
    commit, clean, subject = read_revision(repository, ("fleet.yaml",))
    assert len(commit) == 40
    assert clean
    assert subject == "Open the shop"


def test_an_edited_file_makes_it_dirty_and_another_one_does_not(repository: Path) -> None:
    (repository / "notes").write_text("not read by the plan")
    assert read_revision(repository, ("fleet.yaml",))[1]
    (repository / "fleet.yaml").write_text("second")
    assert not read_revision(repository, ("fleet.yaml",))[1]


def test_an_earlier_revision_is_read_without_touching_the_working_tree(repository: Path) -> None:
    (repository / "fleet.yaml").write_text("second")
    tree, _, _ = open_tree(repository, "HEAD")
    assert tree.read("fleet.yaml") == b"first"
    assert list(tree.paths()) == ["fleet.yaml"]
    assert (repository / "fleet.yaml").read_text() == "second"


def test_a_revision_that_is_not_there_is_a_sentence(repository: Path) -> None:
    with pytest.raises(Failure, match="no revision 'nowhere'"):
        open_tree(repository, "nowhere")


def test_without_a_git_program_there_is_just_no_revision(repository: Path) -> None:
    ask = "from pathlib import Path; from unictl.revisions.repository import read_revision; "
    ask += f"print(read_revision(Path({str(repository)!r}), ('fleet.yaml',)))"
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, env={"PATH": "/nowhere"}, check=True
    )
    assert done.stdout.strip() == "('', False, '')"
