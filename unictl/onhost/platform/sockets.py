"""Listening TCP sockets of the host, read by netlink: /proc/net/tcp makes the kernel walk every connection (6 ms)."""

from __future__ import annotations

import _socket
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_NETLINK, _SOCK_DIAG, _DIAG_BY_FAMILY, _DUMP, _DONE, _ERROR = 16, 4, 20, 0x301, 3, 2
_LISTEN_STATE = 1 << 10
_MESSAGE_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI48x")
_FAMILIES = ((_socket.AF_INET, "/proc/net/tcp", 8), (_socket.AF_INET6, "/proc/net/tcp6", 32))


def listening_sockets() -> set[tuple[str, int]]:
    """(address, port) of every listening TCP socket of the host."""
    listening: set[tuple[str, int]] = set()
    for family, path, size in _FAMILIES:
        try:
            listening.update(_query_netlink(family))
        except OSError:
            listening.update(_read_proc(path, size))
    return listening


def _query_netlink(family: int) -> Iterator[tuple[str, int]]:
    netlink = _socket.socket(_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, _SOCK_DIAG)
    try:
        netlink.settimeout(2)
        request = _REQUEST.pack(family, _socket.IPPROTO_TCP, 0, 0, _LISTEN_STATE)
        netlink.send(_MESSAGE_HEADER.pack(_MESSAGE_HEADER.size + len(request), _DIAG_BY_FAMILY, _DUMP, 1, 0) + request)
        is_last = False
        while not is_last:
            is_last = yield from _parse_datagram(family, netlink.recv(65536))
    finally:
        netlink.close()


def _parse_datagram(family: int, data: bytes) -> Generator[tuple[str, int], None, bool]:
    """The sockets of one datagram; returns whether it was the last."""
    while data:
        size, kind, _, _, _ = _MESSAGE_HEADER.unpack_from(data)
        if kind == _DONE:
            return True
        if kind == _ERROR:
            raise OSError("the kernel has no sock_diag")
        yield _parse_socket(family, data[_MESSAGE_HEADER.size : size])
        data = data[(size + 3) & ~3 :]
    return False


def _parse_socket(family: int, message: bytes) -> tuple[str, int]:
    (port,) = struct.unpack_from(">H", message, 4)
    address = message[8 : 12 if family == _socket.AF_INET else 24]
    return _socket.inet_ntop(family, address), port


def _read_proc(path: str, size: int) -> Iterator[tuple[str, int]]:
    if os.path.exists(path):
        with open(path, encoding="ascii") as file:
            next(file, None)
            for line in file:
                fields = line.split(None, 4)
                if fields[3] == "0A":
                    hex_address, _, port = fields[1].partition(":")
                    yield parse_proc_address(hex_address, size), int(port, 16)


def parse_proc_address(text: str, size: int) -> str:
    """An address of /proc/net as text; the kernel writes 32-bit words in host order."""
    words = b"".join(bytes.fromhex(text[position : position + 8])[::-1] for position in range(0, size, 8))
    return _socket.inet_ntop(_socket.AF_INET if size == 8 else _socket.AF_INET6, words)
