"""An https server on loopback with a certificate of an authority of our own."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Server:
    """What it has under which path, and what it was asked. ``cut``: bytes after which it hangs up, per answer."""

    port: int = 0
    authority: Path = Path()
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    ranges: bool = True

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server until the end of the block; its authority's certificate lies in ``folder``."""
    certificate, key, authority = _certified(folder)
    told = Server(authority=authority)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(told))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    told.port = httpd.server_address[1]
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        httpd.shutdown()
        httpd.server_close()


def _certified(folder: Path) -> tuple[Path, Path, Path]:
    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test"),
        *("-keyout", "ca.key", "-out", "ca.pem", "-days", "2"),
    )
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"),
        *("-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "server.key", "-out", "server.pem", "-days", "2"),
    )
    return folder / "server.pem", folder / "server.key", folder / "ca.pem"


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, self.headers.get("Range", "")))
            path = self.path.partition("?")[0]
            if server.statuses.get(path):
                self.send_error(server.statuses[path].pop(0))
            elif path in server.redirects:
                self.send_response(302)
                self.send_header("Location", server.redirects[path])
                self.end_headers()
            elif path not in server.files:
                self.send_error(404)
            else:
                self._give(server.files[path])

        def _give(self, data: bytes) -> None:
            wanted = self.headers.get("Range", "") if server.ranges else ""
            begin = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
            if wanted and begin >= len(data):
                self.send_error(416)
                return
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(data) - begin))
            self.end_headers()
            until = begin + server.cut.pop(0) if server.cut else len(data)
            self.wfile.write(data[begin:until])

        def log_message(self, *_: object) -> None:
            return

    return Handler
