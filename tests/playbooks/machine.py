"""A real guest in QEMU for the tests beside this file: started, asked over loopback, read by its console, ended.

Everything waits for an event with a deadline; nothing sleeps for a guessed time.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

REPOSITORY = Path(__file__).resolve().parents[2]
HELLO = REPOSITORY / "playbooks/hello/hello.elf"
PROBE = REPOSITORY / "unictl/onhost/hypervisors/qemu/probe.elf"
BUILD = REPOSITORY / "playbooks/hello/src/build"

DEADLINE = 15.0
MACHINE = [
    *("-machine", "microvm,acpi=off,pit=off,pic=off,rtc=off"),
    *("-accel", "tcg", "-cpu", "max"),
    *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
    *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
    *("-device", "isa-debug-exit,iobase=0x501,iosize=4"),
    *("-global", "virtio-mmio.force-legacy=off"),
]
NETWORK = "net.ip=10.0.2.15/24 net.gateway=10.0.2.2"

T = TypeVar("T")


def qemu_present() -> bool:
    return shutil.which("qemu-system-x86_64") is not None


def wait_for(question: Callable[[], T], what: str, seconds: float = DEADLINE) -> T:
    """The first true answer to a question asked again and again."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:g} s still no {what}")
        time.sleep(0.005)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Machine:
    """One QEMU with one guest. `append` is the guest's command line, as the host writes it."""

    def __init__(
        self,
        directory: Path,
        image: Path,
        append: str,
        *,
        port: int = 0,
        more: Sequence[str] = (),
        module: str = "",
        memory: int = 8,
    ) -> None:
        self.port = port
        self.console_file = directory / f"console-{self.port}"
        self.error_file = directory / f"errors-{self.port}"
        configuration = directory / f"machine-{self.port}.conf"
        configuration.write_text(self._configuration(directory, image, append, module))
        self.started = time.monotonic()
        with self.error_file.open("wb") as errors:
            self.process = subprocess.Popen(
                [
                    "qemu-system-x86_64", *MACHINE, "-m", str(memory), "-readconfig", str(configuration),
                    "-serial", f"file:{self.console_file}", *more,
                ],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            )  # fmt: skip

    def _configuration(self, directory: Path, image: Path, append: str, module: str) -> str:
        lines = ["[machine]", f'  kernel = "{image}"', f'  append = "{append}"']
        if module:
            path = directory / f"module-{self.port}"
            path.write_text(module)
            lines.append(f'  initrd = "{path}"')
        return "\n".join(lines) + "\n"

    # --- console and end ---

    def console(self) -> str:
        return self.console_file.read_text(errors="replace") if self.console_file.exists() else ""

    def wait_for_line(self, part: str) -> str:
        def found() -> str:
            return next((line for line in self.console().splitlines() if part in line), "")

        return wait_for(found, f"line with {part!r} on the console:\n{self.console()}\n{self.error_file.read_text()}")

    def wait_for_exit(self) -> int:
        return self.process.wait(DEADLINE)

    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """As kill -9: nothing is told to the guest."""
        self.process.kill()
        self.process.wait()


class Hello(Machine):
    """A hello guest with a network card, its port 8080 forwarded."""

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        settings: str = "",
        name: str = "front-0",
        disk: Path | None = None,
        module: str = "",
        append: str | None = None,
        memory: int = 8,
        netdev: str = "",
    ) -> None:
        words = f"unictl.name={name} unictl.generation=7f3c9a1b {NETWORK} {settings}".strip()
        line = append if append is not None else f"{words} -- {' '.join(arguments)}" if arguments else words
        port = free_port()
        more = ["-netdev", netdev or f"user,id=n0,restrict=off,hostfwd=tcp:127.0.0.1:{port}-:8080"]
        more += ["-device", "virtio-net-device,netdev=n0,mac=52:54:00:00:00:01"]
        if disk:
            more += ["-drive", f"file={disk},if=none,id=d0,format=raw", "-device", "virtio-blk-device,drive=d0"]
        super().__init__(directory, HELLO, line, port=port, more=more, module=module, memory=memory)

    def ready(self) -> Hello:
        self.wait_for_line("listening on :8080")
        return self

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)

    def connect_accepted(self) -> socket.socket:
        """A connection that was answered once. QEMU queues one new connection at a time, and the system drops the
        greeting of the others for a second: who makes many had better wait for each to be accepted."""
        s = self.connect()
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 200 ")
        return s

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def facts(self) -> dict[str, Any]:
        status, body = self.ask("/json")
        assert status == 200, body
        answer = json.loads(body)
        assert isinstance(answer, dict)
        return answer

    def say(self, request: bytes) -> bytes:
        """Sends bytes, then nothing more, and returns all that comes back."""
        received = b""
        with self.connect() as s:
            try:
                s.sendall(request)
                s.shutdown(socket.SHUT_WR)
                while part := s.recv(65536):
                    received += part
            except ConnectionError:
                pass
        return received
