"""Images from https URLs: fetched once into the local store, resumed after a cut, bounded in size and time, verified.

A redirect may only lead to another https URL. Which authorities are trusted is the system's choice (``SSL_CERT_FILE``
and ``SSL_CERT_DIR`` say otherwise). What may be secret in a URL (its query) is never shown.
"""

import hashlib
import ssl
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from unictl.images.local_store import Store

SIZE_LIMIT = 16 << 30
STALL = 30.0
"""Seconds without a byte after which a server counts as gone."""
TIME_LIMIT = 3600.0
TRIES = 5
"""Cuts in a row, none of which brought a byte, until it is given up."""
_PIECE = 256 << 10

Progress = Callable[[int, int], None]
"""Bytes here so far, and bytes in all (0: unknown)."""


class Unfetched(Exception):
    """Why an image could not be fetched: ``args[0]`` a sentence; ``hint`` what to do."""

    def __init__(self, text: str, hint: str, *, again: bool = False):
        super().__init__(text)
        self.hint = hint
        self.again = again


def fetch(url: str, digest: str, store: Store, progress: Progress = lambda _done, _total: None) -> Path:
    """The file with the bytes of ``url``, from the store where they are there; Unfetched where they cannot be had."""
    if (known := store.find(digest)) is not None:
        return known
    try:
        with store.partial(digest) as file:
            return store.find(digest) or _filled(url, digest, store, file, progress)
    except OSError as error:
        hint = "free some space, or set XDG_CACHE_HOME to where there is some"
        raise Unfetched(f"{shown(url)} cannot be kept in {store.folder}: {error.strerror}", hint) from error


def shown(url: str) -> str:
    """A URL without its query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _filled(url: str, digest: str, store: Store, file: BinaryIO, progress: Progress) -> Path:
    """The partial, filled from where it ends; one that came out wrong is fetched once more from the beginning."""
    resumed = file.seek(0, 2) > 0
    if resumed and _digest(file) == digest:
        return store.adopt(digest)
    _all(url, file, progress)
    found = _digest(file)
    if found != digest and resumed:
        file.truncate(0)
        _all(url, file, progress)
        found = _digest(file)
    if found != digest:
        file.truncate(0)
        text = f"{shown(url)} has the digest {found[:12]}, not {digest[:12]}"
        raise Unfetched(text, "if the new file is the right one, write its digest into `sha256`")
    return store.adopt(digest)


def _digest(file: BinaryIO) -> str:
    file.flush()
    file.seek(0)
    found = hashlib.sha256()
    while piece := file.read(_PIECE):
        found.update(piece)
    return found.hexdigest()


def _all(url: str, file: BinaryIO, progress: Progress) -> None:
    """Until the server has no more: a line that breaks is taken up again where it broke."""
    deadline, fruitless, opener = time.monotonic() + TIME_LIMIT, 0, _opener()
    while True:
        before = file.seek(0, 2)
        try:
            _some(opener, url, file, deadline, progress)
            return
        except (Unfetched, OSError, HTTPException, ValueError) as error:
            problem = _problem(url, error)
            if getattr(error, "code", 0) == _BEYOND:
                file.truncate(0)
            fruitless = fruitless + 1 if file.seek(0, 2) == before else 0
            if not problem.again or fruitless >= TRIES or time.monotonic() > deadline:
                raise problem from error
            time.sleep(min(2.0, 0.1 * 2**fruitless))


def _some(opener: OpenerDirector, url: str, file: BinaryIO, deadline: float, progress: Progress) -> None:
    have = file.seek(0, 2)
    headers = {"User-Agent": "unictl", "Accept-Encoding": "identity"}
    request = Request(url, headers=headers | ({"Range": f"bytes={have}-"} if have else {}))
    with opener.open(request, timeout=STALL) as answer:
        if have and answer.status != 206:
            file.truncate(0)
            have = 0
        length = int(answer.headers.get("Content-Length") or 0)
        _bound(url, have + length)
        while piece := answer.read(_PIECE):
            file.write(piece)
            have += len(piece)
            length -= len(piece)
            _bound(url, have)
            progress(have, have + max(0, length))
            if time.monotonic() > deadline:
                raise Unfetched(f"{shown(url)} took longer than an hour", "is the server that slow? run it again")
        if length > 0:
            raise ConnectionResetError("the connection was cut")


def _bound(url: str, size: int) -> None:
    if size > SIZE_LIMIT:
        raise Unfetched(f"{shown(url)} is larger than {SIZE_LIMIT >> 30} GiB", "no image is that large: check the URL")


class _OnlyHttps(HTTPRedirectHandler):
    """Follows redirects to https URLs."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The next request; Unfetched where it would not be https."""
        if urlsplit(newurl).scheme != "https":
            raise _leads_away(shown(req.full_url), newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    return build_opener(HTTPSHandler(context=ssl.create_default_context()), _OnlyHttps())


_BEYOND = 416
"""The status of a range that the file does not have (any more): what is here is of another file."""
_STATUS = {
    401: ("it wants a login", "unictl sends none: publish the image, or put it into the repository"),
    403: ("it may not be read", "unictl sends no login: publish the image, or put it into the repository"),
    404: ("there is no such file", "correct the URL"),
    410: ("there is no such file any more", "name another URL, or put the image into the repository"),
}


def _problem(url: str, error: Exception) -> Unfetched:
    """What went wrong as a sentence, and whether the same may go well in a moment."""
    where, cause = shown(url), getattr(error, "reason", error)
    if isinstance(error, Unfetched):
        return error
    if isinstance(error, HTTPError):
        return _refused(where, error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"{where}: the server's certificate is not trusted: {cause.verify_message}"
        return Unfetched(text, "if it should be: install its authority on this machine, or name it in SSL_CERT_FILE")
    if isinstance(cause, ssl.SSLError) and not isinstance(error, ConnectionError):
        return Unfetched(f"{where}: TLS failed: {cause.reason or cause}", "check the URL and the server")
    if isinstance(cause, TimeoutError):
        return Unfetched(f"{where}: the server does not answer", "check the URL, or try later", again=True)
    why = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    again = not isinstance(error, URLError)
    return Unfetched(f"{where} cannot be fetched: {why}", "check the URL and the network", again=again)


def _leads_away(where: str, to: str) -> Unfetched:
    return Unfetched(f"{where} redirects to {shown(to)}, which is not https", "name an https URL that stays https")


def _refused(where: str, error: Any) -> Unfetched:
    if 300 <= error.code < 400:
        # urllib follows no redirect to a file or ftp URL, and says so in this way.
        return _leads_away(where, str(error.headers.get("Location", "")))
    why, hint = _STATUS.get(error.code, (str(error.reason), "try later, or look at the server"))
    return Unfetched(f"{where}: {why} ({error.code})", hint, again=error.code in (_BEYOND, 429, 500, 502, 503, 504))
