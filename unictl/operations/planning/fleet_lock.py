"""Read, check and write `fleet.lock`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from unictl.diagnostics.diagnostic import Diagnostic, Problems
from unictl.diagnostics.failure import Failure, InvalidFleet
from unictl.fleet.model import Fleet
from unictl.revisions.file_tree import FileTree

if TYPE_CHECKING:
    from unictl.images.lock_file import LockFile
    from unictl.operations.planning import fleet_files


def renumbered_endpoints(old_endpoints: Mapping[str, int], endpoints: Mapping[str, int]) -> list[str]:
    """What is new among the endpoint numbers, in words."""
    old_numbers = {key: f"{old_endpoints[key]} -> " if key in old_endpoints else "" for key in endpoints}
    return [
        f"endpoint {key} {old_numbers[key]}{number}"
        for key, number in endpoints.items()
        if old_endpoints.get(key) != number
    ]


def lock_problems(files: fleet_files.FleetFiles) -> Problems:
    """What is wrong with ``fleet.lock`` by itself: it cannot be read, or gives two endpoints one number."""
    try:
        lock = read_lock(files.tree)
    except InvalidFleet as failure:
        return failure.problems or (Diagnostic(code="lock-damaged", summary=failure.summary, hint=failure.hint),)
    return shared_number_problems(files, files.loaded.fleet, lock) if files.loaded.fleet else ()


def shared_number_problems(files: fleet_files.FleetFiles, fleet: Fleet, lock: LockFile) -> Problems:
    from unictl.images import lock_file
    from unictl.images.lock_parser import duplicate_number_problems

    ranges = lock_file.endpoint_ranges(fleet)
    # The text is looked at only where something is wrong: it says where.
    if not lock_file.find_duplicate_numbers(lock.endpoints, ranges):
        return ()
    return duplicate_number_problems(files.tree.read(lock_file.FILE_NAME).decode(), lock.endpoints, ranges)


def write_lock(prepared: fleet_files.PreparedFleet) -> Path:
    """Writes ``fleet.lock`` beside the fleet file; its path. Failure where that may not be."""
    from unictl.images import lock_file

    path = prepared.files.folder / lock_file.FILE_NAME
    text = lock_file.render_lock_file(prepared.lock)
    if not path.is_file() or path.read_text() != text:
        temporary_path = path.with_name(path.name + ".new")
        try:
            temporary_path.write_text(text)
            temporary_path.replace(path)
        except OSError as error:
            raise Failure(
                f"{path} cannot be written, which pins images and endpoint numbers: {error.strerror}",
                hint="run it where you may write, commit fleet.lock, and it is only read from then on",
            ) from None
    return path


def read_pinned(files: fleet_files.FleetFiles) -> LockFile:
    """What ``fleet.lock`` says; nothing where there is none. InvalidFleet where it cannot be read."""
    return read_lock(files.tree)


def read_lock(tree: FileTree) -> LockFile:
    from unictl.images import lock_file, lock_parser

    try:
        text = tree.read(lock_file.FILE_NAME).decode()
    except FileNotFoundError:
        return lock_file.LockFile()
    except UnicodeDecodeError:
        hint = "take it from git again, or remove it and run `unictl lock`"
        raise InvalidFleet(f"{lock_file.FILE_NAME} is no text in UTF-8", hint=hint) from None
    return lock_parser.parse_lock_file(text)
