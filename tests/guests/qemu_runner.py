"""Runs a Launch the way a host does, for tests that boot: tokens filled in, console and QMP heard, end known.

The product's own host side is not used here on purpose: these tests are about argv and guests alone.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unictl.hypervisors.launch import Launch

QEMU = shutil.which("qemu-system-x86_64")


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Machine:
    """One running QEMU. ``console`` grows while it runs; ``ended`` waits for the facts of its end."""

    def __init__(
        self,
        launch: Launch,
        images: Mapping[str, Path],
        *,
        volumes: Mapping[str, Path] | None = None,
        accel: str = "tcg",
        cpu: str = "max",
        wrap: tuple[str, ...] = (),
        folder: Path,
    ):
        self.folder = folder
        self.console = ""
        self.reason: str | None = None
        known = {"qemu": str(QEMU), "accel": accel, "cpu": cpu, "run": str(folder), "config": str(folder / "boot.cfg")}
        known["console"] = "stdio,id=console,signal=off"
        known |= {f"image:{digest}": str(path) for digest, path in images.items()}
        known |= {f"volume:{name}": str(path) for name, path in (volumes or {}).items()}
        (folder / "boot.cfg").write_text(_filled(launch.config, known))
        self.argv = [*wrap, *(_filled(word, known) for word in launch.argv)]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._hear, self._monitor)]
        for thread in self._threads:
            thread.start()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        while data := os.read(self.process.stdout.fileno(), 65536):
            self.console += data.decode("utf-8", "replace")

    def _monitor(self) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as monitor:
            while not self._connected(monitor):
                time.sleep(0.002)
            monitor.sendall(b'{"execute":"qmp_capabilities"}\n')
            for line in monitor.makefile("r"):
                event = json.loads(line)
                if event.get("event") in ("SHUTDOWN", "GUEST_PANICKED"):
                    self.reason = event["data"].get("reason", self.reason)

    def _connected(self, monitor: socket.socket) -> bool:
        if self.process.poll() is not None:
            raise OSError("it has ended")
        try:
            monitor.connect(str(self.folder / "qmp"))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def ended(self, seconds: float = 20) -> dict[str, Any]:
        """The facts of its end, as ``guests.ends.judge`` takes them."""
        status = self.process.wait(seconds)
        for thread in self._threads:
            thread.join(1)
        return {
            "status": status if status >= 0 else None,
            "signal": -status if status < 0 else None,
            "reason": self.reason,
            "console": self.console,
            "stopped": False,
        }

    def get(self, port: int, path: str = "/", seconds: float = 20) -> tuple[str, float]:
        """The first answer to GET, and the seconds since the start it took; TimeoutError without one."""
        url = f"http://127.0.0.1:{port}"
        while time.monotonic() - self.started < seconds and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}{path}", timeout=0.5) as answer:
                return answer.read().decode(), time.monotonic() - self.started
            time.sleep(0.01)
        raise TimeoutError(f"no answer; console: ...{self.console[-500:]!r}")

    def says(self, text: str, seconds: float = 60) -> None:
        """Wait until ``text`` stands on the console; TimeoutError where it does not come."""
        while text not in self.console:
            if time.monotonic() - self.started > seconds or self.process.poll() is not None:
                raise TimeoutError(f"no {text!r}; console: ...{self.console[-500:]!r}")
            time.sleep(0.01)

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def _filled(text: str, known: Mapping[str, str]) -> str:
    for token, value in known.items():
        text = text.replace(f"{{{token}}}", value)
    return text


@contextlib.contextmanager
def running(launch: Launch, images: Mapping[str, Path], **options: Any) -> Iterator[Machine]:
    """A Machine in a folder with a short path (sockets hold 107 bytes), gone at the end."""
    with tempfile.TemporaryDirectory(prefix="uctl") as folder:
        Path(folder).chmod(0o777)
        machine = Machine(launch, images, folder=Path(folder), **options)
        try:
            yield machine
        finally:
            machine.close()
