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

from unictl.images.local_store import LocalStore

SIZE_LIMIT = 16 << 30
STALL_TIMEOUT = 30.0
"""Seconds without a byte after which a server counts as gone."""
TIME_LIMIT = 3600.0
MAX_FRUITLESS_TRIES = 5
"""Cuts in a row, none of which brought a byte, until it is given up."""
_CHUNK_SIZE = 256 << 10

Progress = Callable[[int, int], None]
"""Bytes here so far, and bytes in all (0: unknown)."""


class FetchFailure(Exception):
    """Why an image could not be fetched: ``args[0]`` a sentence; ``hint`` what to do."""

    def __init__(self, text: str, hint: str, *, is_retryable: bool = False):
        super().__init__(text)
        self.hint = hint
        self.is_retryable = is_retryable


def fetch(url: str, digest: str, store: LocalStore, progress: Progress = lambda _done, _total: None) -> Path:
    """The file with the bytes of ``url``, from the store where they are there; Unfetched where they cannot be had."""
    if (stored := store.find(digest)) is not None:
        return stored
    try:
        with store.open_partial(digest) as file:
            return store.find(digest) or _complete_partial(url, digest, store, file, progress)
    except OSError as error:
        hint = "free some space, or set XDG_CACHE_HOME to where there is some"
        raise FetchFailure(f"{redact_url(url)} cannot be kept in {store.folder}: {error.strerror}", hint) from error


def redact_url(url: str) -> str:
    """A URL without its query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _complete_partial(url: str, digest: str, store: LocalStore, file: BinaryIO, progress: Progress) -> Path:
    """The partial, filled from where it ends; one that came out wrong is fetched once more from the beginning."""
    resumed = file.seek(0, 2) > 0
    if resumed and _file_digest(file) == digest:
        return store.adopt(digest)
    _download(url, file, progress)
    actual_digest = _file_digest(file)
    if actual_digest != digest and resumed:
        file.truncate(0)
        _download(url, file, progress)
        actual_digest = _file_digest(file)
    if actual_digest != digest:
        file.truncate(0)
        text = f"{redact_url(url)} has the digest {actual_digest[:12]}, not {digest[:12]}"
        raise FetchFailure(text, "if the new file is the right one, write its digest into `sha256`")
    return store.adopt(digest)


def _file_digest(file: BinaryIO) -> str:
    file.flush()
    file.seek(0)
    hasher = hashlib.sha256()
    while chunk := file.read(_CHUNK_SIZE):
        hasher.update(chunk)
    return hasher.hexdigest()


def _download(url: str, file: BinaryIO, progress: Progress) -> None:
    """Until the server has no more: a line that breaks is taken up again where it broke."""
    deadline, fruitless, opener = time.monotonic() + TIME_LIMIT, 0, _make_opener()
    while True:
        size_before = file.seek(0, 2)
        try:
            _download_once(opener, url, file, deadline, progress)
            return
        except (FetchFailure, OSError, HTTPException, ValueError) as error:
            failure = _fetch_failure(url, error)
            if getattr(error, "code", 0) == _RANGE_NOT_SATISFIABLE:
                file.truncate(0)
            fruitless = fruitless + 1 if file.seek(0, 2) == size_before else 0
            if not failure.is_retryable or fruitless >= MAX_FRUITLESS_TRIES or time.monotonic() > deadline:
                raise failure from error
            time.sleep(min(2.0, 0.1 * 2**fruitless))


def _download_once(opener: OpenerDirector, url: str, file: BinaryIO, deadline: float, progress: Progress) -> None:
    received = file.seek(0, 2)
    headers = {"User-Agent": "unictl", "Accept-Encoding": "identity"}
    request = Request(url, headers=headers | ({"Range": f"bytes={received}-"} if received else {}))
    with opener.open(request, timeout=STALL_TIMEOUT) as response:
        if received and response.status != 206:
            file.truncate(0)
            received = 0
        remaining_length = int(response.headers.get("Content-Length") or 0)
        _check_size(url, received + remaining_length)
        while chunk := response.read(_CHUNK_SIZE):
            file.write(chunk)
            received += len(chunk)
            remaining_length -= len(chunk)
            _check_size(url, received)
            progress(received, received + max(0, remaining_length))
            if time.monotonic() > deadline:
                raise FetchFailure(
                    f"{redact_url(url)} took longer than an hour", "is the server that slow? run it again"
                )
        if remaining_length > 0:
            raise ConnectionResetError("the connection was cut")


def _check_size(url: str, size: int) -> None:
    if size > SIZE_LIMIT:
        raise FetchFailure(
            f"{redact_url(url)} is larger than {SIZE_LIMIT >> 30} GiB", "no image is that large: check the URL"
        )


class _HttpsOnlyRedirects(HTTPRedirectHandler):
    """Follows redirects to https URLs."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The next request; Unfetched where it would not be https."""
        if urlsplit(newurl).scheme != "https":
            raise _insecure_redirect(redact_url(req.full_url), newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _make_opener() -> OpenerDirector:
    return build_opener(HTTPSHandler(context=ssl.create_default_context()), _HttpsOnlyRedirects())


_RANGE_NOT_SATISFIABLE = 416
"""The status of a range that the file does not have (any more): what is here is of another file."""
_STATUS_REASONS = {
    401: ("it wants a login", "unictl sends none: publish the image, or put it into the repository"),
    403: ("it may not be read", "unictl sends no login: publish the image, or put it into the repository"),
    404: ("there is no such file", "correct the URL"),
    410: ("there is no such file any more", "name another URL, or put the image into the repository"),
}


def _fetch_failure(url: str, error: Exception) -> FetchFailure:
    """What went wrong as a sentence, and whether the same may go well in a moment."""
    shown_url, cause = redact_url(url), getattr(error, "reason", error)
    if isinstance(error, FetchFailure):
        return error
    if isinstance(error, HTTPError):
        return _http_failure(shown_url, error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"{shown_url}: the server's certificate is not trusted: {cause.verify_message}"
        return FetchFailure(text, "if it should be: install its authority on this machine, or name it in SSL_CERT_FILE")
    if isinstance(cause, ssl.SSLError) and not isinstance(error, ConnectionError):
        return FetchFailure(f"{shown_url}: TLS failed: {cause.reason or cause}", "check the URL and the server")
    if isinstance(cause, TimeoutError):
        return FetchFailure(
            f"{shown_url}: the server does not answer", "check the URL, or try later", is_retryable=True
        )
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    is_retryable = not isinstance(error, URLError)
    return FetchFailure(
        f"{shown_url} cannot be fetched: {reason}", "check the URL and the network", is_retryable=is_retryable
    )


def _insecure_redirect(shown_url: str, target: str) -> FetchFailure:
    return FetchFailure(
        f"{shown_url} redirects to {redact_url(target)}, which is not https", "name an https URL that stays https"
    )


def _http_failure(shown_url: str, error: Any) -> FetchFailure:
    if 300 <= error.code < 400:
        # urllib follows no redirect to a file or ftp URL, and says so in this way.
        return _insecure_redirect(shown_url, str(error.headers.get("Location", "")))
    reason, hint = _STATUS_REASONS.get(error.code, (str(error.reason), "try later, or look at the server"))
    return FetchFailure(
        f"{shown_url}: {reason} ({error.code})",
        hint,
        is_retryable=error.code in (_RANGE_NOT_SATISFIABLE, 429, 500, 502, 503, 504),
    )
