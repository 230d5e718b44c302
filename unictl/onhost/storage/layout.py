"""The layout of the store: where fleets, instances, volumes, images and run directories are, and which names are
valid.
"""

from __future__ import annotations

import os

from .. import errors
from ..protocol import frames
from . import atomic, guarded_read, identifiers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1
"""The on-disk format this code writes; it reads every store whose ``readable_from`` is not above it."""
READABLE_FROM = 1
VERSION = "0.1.0"
"""The version of unictl that this is part of, for whom a newer store has to name what wrote it."""

_FORMAT_DOCUMENT = {"format": FORMAT, "readable_from": READABLE_FROM, "unictl": VERSION}
_SAFE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@+")
_HEX_DIGITS = frozenset("0123456789abcdef")


def safe_component(text: str) -> str:
    """``text`` where it may be one part of a path; a Problem where it may not."""
    if not _is_safe_component(text):
        raise errors.HostError("failed", f"{text!r} is no name that can stand in a path")
    return text


def _is_safe_component(text: str) -> bool:
    return bool(text) and text[0] != "." and len(text) <= 200 and _SAFE_CHARACTERS.issuperset(text)


def is_instance_key(text: str) -> bool:
    """Whether it is called as instances are: ``api-2.7f3c9a1b``."""
    name, _, generation = text.partition(".")
    return (
        _is_safe_component(name)
        and name.rpartition("-")[2].isdigit()
        and bool(generation)
        and _HEX_DIGITS.issuperset(generation)
    )


def checked_digest(text: str) -> str:
    """``text`` where it is a SHA-256 in hex; a Problem where it is not."""
    if not is_digest(text):
        raise errors.HostError("failed", f"{text!r} is no SHA-256 digest")
    return text


def is_digest(text: str) -> bool:
    """Whether it is a SHA-256 in hex."""
    return len(text) == 64 and _HEX_DIGITS.issuperset(text)


def default_path() -> str:
    """Where the store lies when nobody said: the system's place as root, the user's own otherwise."""
    if os.geteuid() == 0:
        return "/var/lib/unictl"
    state = os.environ.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):
        state = os.path.join(os.path.expanduser("~"), ".local", "state")
    if (state + "/").startswith("/tmp/"):
        raise errors.HostError(
            "unsupported",
            f"the state folder {state} lies under /tmp, which is emptied at boot",
            "set XDG_STATE_HOME elsewhere for this user, or give the host a `root:` in the fleet file",
            path=state,
        )
    return os.path.join(state, "unictl")


class StoreLayout:
    """The store of one host. Attributes and methods are paths; nothing is created by asking for one."""

    def __init__(self, path: str):
        self.path = path
        self.images = path + "/images"
        self.claims = path + "/claims"
        self.leases = path + "/leases"
        self.fleets = path + "/fleets"
        self.runs = path + "/run"
        self.host_lock = path + "/host.lock"

    def fleet(self, owner: str) -> str:
        """The folder of one fleet."""
        return self.fleets + "/" + safe_component(owner)

    def instances(self, owner: str) -> str:
        """The folder of the fleet's live records."""
        return self.fleet(owner) + "/instances"

    def instance(self, owner: str, key: str) -> str:
        """The folder of one live record, ``api-2.7f3c9a1b``."""
        return self.instances(owner) + "/" + safe_component(key)

    def keys(self, owner: str) -> list[str]:
        """The fleet's live records, by the names of their folders; what is called otherwise is none of ours."""
        return [name for name in guarded_read.list_names(self.instances(owner)) if is_instance_key(name)]

    def retired(self, owner: str) -> str:
        """The folder of what was retired and is kept for looking back."""
        return self.fleet(owner) + "/retired"

    def volumes(self, owner: str) -> str:
        """The folder of the fleet's volumes."""
        return self.fleet(owner) + "/volumes"

    def volume(self, owner: str, name: str) -> str:
        """The folder of one volume; its bytes are ``data`` in it."""
        return self.volumes(owner) + "/" + safe_component(name)

    def volume_names(self, owner: str) -> list[str]:
        """The fleet's volumes; what is no folder, or called otherwise, is none of ours."""
        directory = self.volumes(owner)
        return [
            name
            for name in guarded_read.list_names(directory)
            if _is_safe_component(name) and os.path.isdir(f"{directory}/{name}")
        ]

    def run(self, run_name: str) -> str:
        """The folder of sockets and locks of one instance: short, because socket paths are."""
        return self.runs + "/" + safe_component(run_name)

    def owners(self) -> list[str]:
        """Every fleet that has a folder here; what cannot be one is somebody else's and in nobody's way."""
        return [
            name
            for name in guarded_read.list_names(self.fleets)
            if _is_safe_component(name) and os.path.isdir(f"{self.fleets}/{name}")
        ]

    def boot_id(self) -> str:
        """See :func:`boot_id`."""
        return identifiers.boot_id()

    def host_id(self) -> str:
        """32 random hex digits, written once at first contact; a ``damaged`` Problem where they are not there."""
        path = self.path + "/host-id"
        host_id = (guarded_read.read_bytes(path) or b"").decode("ascii", "replace").strip()
        if len(host_id) != 32 or not _HEX_DIGITS.issuperset(host_id):
            text = f"{path} does not hold the id of this host any more, so nobody knows which host this is"
            hint = "write it back: `hosts.json` of any fleet on any of its hosts has it beside the host's name"
            raise errors.HostError("damaged", text, hint, path=path)
        return host_id

    def prepare(self) -> None:
        """Make the store where there is none; refuse one that a newer tool wrote, touching nothing."""
        self._check_format()
        if os.path.exists(self.path + "/host-id") and os.path.exists(self.path + "/format"):
            return
        for directory in (self.path, self.images, self.leases, self.fleets, self.runs):
            atomic.make_dirs(directory)
        atomic.write_once(self.path + "/host-id", os.urandom(16).hex().encode() + b"\n")
        atomic.write_once(self.path + "/format", frames.encode_json(_FORMAT_DOCUMENT) + b"\n")

    def _check_format(self) -> None:
        path = self.path + "/format"
        try:
            document = guarded_read.read_object(path)
        except errors.HostError:
            document = {}
        if document is not None and not guarded_read.is_uint(document.get("readable_from")):
            text = f"{path} does not say any more which unictl may read this store, so nothing is touched"
            hint = f"where no newer unictl wrote the store, write {frames.encode_json(_FORMAT_DOCUMENT).decode()} there"
            raise errors.HostError("damaged", text, hint, path=path)
        if document is not None and document["readable_from"] > FORMAT:
            raise newer_format_error(self.path, document)


def newer_format_error(path: str, document: dict[str, Any]) -> errors.HostError:
    """What is said of a store, or of something in it, that a newer unictl wrote so that this one cannot read it."""
    writer = f"unictl {document['unictl']}" if document.get("unictl") else "a newer unictl"
    written_format = document.get("format")
    text = f"{path} was written by {writer} in format {written_format}, and this one ({VERSION}) reads up to {FORMAT}"
    return errors.HostError("newer-format", text, "upgrade unictl; nothing was touched", path=path)
