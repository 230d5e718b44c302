"""Changes the mutable marks of an instance: protection, commit, and whether it passed its health gate."""

from __future__ import annotations

import os

from .. import errors
from ..protocol import frames
from ..storage import guarded_read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..protocol.request_context import RequestContext
    from ..storage.fenced_store import FencedStore


def set_marks(root: FencedStore, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """Change what may change of a record: protection, the last commit that touched it, whether it passed its gate
    and by which kinds of check."""
    directory = root.instance(request["owner"], request["key"])
    if not os.path.isdir(directory):
        raise errors.HostError("not-found", f"{request['key']} is not on this host", "plan again")
    marks = {name: request[name] for name in ("protect", "commit", "proven", "checks") if name in request}
    previous = guarded_read.read_object(directory + "/marks.json") or {}
    if any(previous.get(name) != value for name, value in marks.items()):
        root.write_atomic(directory + "/marks.json", frames.encode_json(dict(previous, **marks)))
    return {}
