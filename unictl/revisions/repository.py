"""Git: the revision of a directory, and its files at any revision. Uses gitpython, imported inside functions."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from unictl.diagnostics.failure import Failure
from unictl.revisions.file_tree import FileTree

if TYPE_CHECKING:
    from git import Commit, Repo


def _open_repository(folder: Path) -> "Repo | None":
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None
    try:
        import git
    except ImportError:
        # GitPython refuses to be imported where there is no git program; then nothing is known of a revision.
        return None
    try:
        return git.Repo(folder, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError, ValueError):
        return None


def read_revision(folder: Path, files: tuple[str, ...]) -> tuple[str, bool, str]:
    """Commit, whether ``files`` (below ``folder``) equal it, and its subject; empty commit where there is none."""
    repository = _open_repository(folder.resolve())
    if repository is None or not repository.head.is_valid():
        return "", False, ""
    import git

    head = repository.head.commit
    names = [str(folder.resolve() / file) for file in files]
    try:
        status = repository.git.status("--porcelain", "--untracked-files=all", "--ignored", "--", *names)
    except git.GitCommandError:
        return head.hexsha, False, str(head.summary)
    return head.hexsha, not status.strip(), str(head.summary)


def open_tree(folder: Path, revision: str) -> tuple[FileTree, str, str]:
    """The files below ``folder`` at ``revision``, with the commit and its subject; Failure where there is none."""
    repository = _open_repository(folder.resolve())
    if repository is None:
        raise Failure(
            f"{folder} is in no git repository that can be read, so it has no revision {revision}",
            hint="is git installed?",
        )
    import git

    try:
        commit = repository.commit(revision)
    except (git.BadName, git.GitCommandError, ValueError):
        raise Failure(f"no revision {revision!r} in the repository of {folder}", hint="git log --oneline") from None
    prefix = folder.resolve().relative_to(Path(str(repository.working_tree_dir)).resolve()).as_posix()
    return RevisionTree(commit, "" if prefix == "." else prefix + "/"), commit.hexsha, str(commit.summary)


class RevisionTree:
    """A fleet's folder as a commit holds it; the working tree is not touched."""

    def __init__(self, commit: "Commit", prefix: str):
        from git import Blob

        self._blobs = {
            str(blob.path)[len(prefix) :]: blob
            for blob in commit.tree.traverse()
            if isinstance(blob, Blob) and str(blob.path).startswith(prefix)
        }

    def paths(self) -> Iterator[str]:
        return iter(sorted(path for path in self._blobs if not path.startswith(".")))

    def read(self, path: str) -> bytes:
        blob = self._blobs.get(path)
        if blob is None:
            raise FileNotFoundError(path)
        return bytes(blob.data_stream.read())

    def on_disk(self, path: str) -> Path | None:  # noqa: ARG002 - a protocol's signature
        return None
