"""The other end of a guest's network cable: Ethernet frames made and read by hand, over UDP on loopback.

With it a test can lose, damage, repeat and reorder segments, which QEMU's own network stack never does.
"""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

HOST_MAC = bytes.fromhex("525500000002")
GUEST_MAC = bytes.fromhex("525400000001")
HOST = bytes([10, 0, 2, 2])
GUEST = bytes([10, 0, 2, 15])
BROADCAST = b"\xff" * 6
ARP, IPV4 = b"\x08\x06", b"\x08\x00"
TCP, ICMP = 6, 1


def checksum(content: bytes) -> int:
    padded = content + b"\0" * (len(content) % 2)
    total = sum(padded[::2]) * 256 + sum(padded[1::2])
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass(frozen=True, kw_only=True)
class Segment:
    port: int
    own_port: int
    seq: int
    ack: int
    flags: int
    window: int
    options: bytes
    data: bytes
    at: float


class Wire:
    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            self.guest_port = int(other.getsockname()[1])

    def netdev(self) -> str:
        own = self.socket.getsockname()[1]
        return f"socket,id=n0,udp=127.0.0.1:{own},localaddr=127.0.0.1:{self.guest_port}"

    def close(self) -> None:
        self.socket.close()

    # --- frames ---

    def send_frame(self, kind: bytes, payload: bytes) -> None:
        self.socket.sendto(GUEST_MAC + HOST_MAC + kind + payload, ("127.0.0.1", self.guest_port))

    def frame(self, kind: bytes, seconds: float = 5.0) -> bytes | None:
        """The payload of the next frame of a kind; None if none comes in that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                content = self.socket.recv(2048)
            except TimeoutError:
                return None
            if content[12:14] == kind:
                return content[14:]
        return None

    def arp(self, operation: int, target_mac: bytes) -> None:
        head = bytes.fromhex("000108000604") + struct.pack("!H", operation)
        self.send_frame(ARP, head + HOST_MAC + HOST + target_mac + GUEST)

    # --- packets ---

    def send_packet(self, protocol: int, payload: bytes) -> None:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, HOST, GUEST)
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        self.send_frame(IPV4, head + payload)

    def packet(self, protocol: int, seconds: float = 5.0) -> bytes | None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            content = self.frame(IPV4, left)
            if content is None:
                return None
            assert checksum(content[:20]) == 0
            if content[9] == protocol:
                return content[20 : int.from_bytes(content[2:4], "big")]
        return None

    # --- segments ---

    def send_segment(
        self,
        own_port: int,
        flags: int,
        *,
        seq: int,
        ack: int = 0,
        data: bytes = b"",
        window: int = 65535,
        port: int = 8080,
        options: bytes = b"",
        damage: int = 0,
    ) -> None:
        head = struct.pack(
            "!HHIIBBHHH", own_port, port, seq % 2**32, ack % 2**32, (20 + len(options)) << 2, flags, window, 0, 0
        )
        content = head + options + data
        pseudo = HOST + GUEST + struct.pack("!HH", TCP, len(content))
        content = content[:16] + struct.pack("!H", checksum(pseudo + content) ^ damage) + content[18:]
        self.send_packet(TCP, content)

    def segment(self, seconds: float = 5.0) -> Segment | None:
        content = self.packet(TCP, seconds)
        if content is None:
            return None
        assert checksum(GUEST + HOST + struct.pack("!HH", TCP, len(content)) + content) == 0
        port, own_port, seq, ack, offset, flags, window = struct.unpack("!HHIIBBH", content[:16])
        head = offset >> 2
        return Segment(
            port=port, own_port=own_port, seq=seq, ack=ack, flags=flags, window=window, options=content[20:head],
            data=content[head:], at=time.monotonic(),
        )  # fmt: skip

    def expect(self, seconds: float = 5.0) -> Segment:
        segment = self.segment(seconds)
        assert segment is not None, "no segment came"
        return segment


class Conversation:
    """One connection of ours to the guest, driven by hand."""

    def __init__(self, wire: Wire, own_port: int, *, window: int = 65535, seq: int = 1000) -> None:
        self.wire, self.own_port, self.window = wire, own_port, window
        wire.send_segment(own_port, SYN, seq=seq, window=window, options=b"\x02\x04\x05\xb4")
        answer = self._first_answer()
        assert answer.flags == SYN | ACK and answer.ack == seq + 1
        self.seq, self.ack = seq + 1, (answer.seq + 1) % 2**32
        self.send(ACK)

    def _first_answer(self) -> Segment:
        while (segment := self.wire.expect()).own_port != self.own_port:
            pass
        return segment

    def send(
        self, flags: int, data: bytes = b"", *, ahead: int = 0, window: int | None = None, damage: int = 0
    ) -> None:
        used = self.window if window is None else window
        self.wire.send_segment(
            self.own_port, flags, seq=self.seq + ahead, ack=self.ack, data=data, window=used, damage=damage
        )

    def ask(self, request: bytes) -> None:
        """Sends a request and counts it as sent."""
        self.send(ACK | PSH, request)
        self.seq += len(request)

    def take(self, segment: Segment) -> bytes:
        """Confirms what follows on what came before."""
        assert segment.seq == self.ack
        self.ack = (self.ack + len(segment.data) + bool(segment.flags & FIN)) % 2**32
        self.send(ACK)
        return segment.data
