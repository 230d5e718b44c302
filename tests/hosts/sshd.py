"""An sshd of our own on a loopback port, with keys made for it; also with users of its own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""


PAM = ("auth pam_unix", "account pam_nologin", "account pam_unix", "session pam_permit")


@contextmanager
def sshd(
    folder: Path, lines: str = "", users: Mapping[str, tuple[str, str]] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """The port it listens on, and an environment whose ``ssh`` knows its key. ``lines``: more of its configuration.

    ``users``: name -> login shell and what shadow says of its age; known to this sshd only, in ``folder/etc``.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    known = (folder / "host.pub").read_text()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {known}")
    keys, pam = (f"{folder}/user.pub", "no") if users is None else ("/etc/key.pub", "yes")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {keys}\n"
        f"PidFile {folder}/pid\nStrictModes no\nUsePAM {pam}\nPermitRootLogin yes\n{lines}"
    )
    (folder / "config").write_text(
        f"UserKnownHostsFile {folder}/known\nIdentityFile {folder}/user\nIdentitiesOnly yes\nIdentityAgent none\n"
    )
    ssh = folder / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
    ssh.chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    words = [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
    if users is not None:
        _etc(folder, users)
        within = 'mount --bind "$0/etc" /etc; exec "$@"'
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", within, str(folder), *words]
    daemon = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield port, {**os.environ, "PATH": f"{ssh.parent}:{os.environ['PATH']}"}
    finally:
        daemon.terminate()
        daemon.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 5
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def _etc(folder: Path, users: Mapping[str, tuple[str, str]]) -> None:
    """A copy of this machine's with these users, whose key is the one of ``folder``."""
    etc = folder / "etc"
    subprocess.run(["cp", "-a", "/etc", str(etc)], check=True)
    (etc / "pam.d" / "sshd").write_text("".join(f"{row.replace(' ', ' required ')}.so\n" for row in PAM))
    (etc / "key.pub").write_text((folder / "user.pub").read_text())
    for file, row in (("passwd", "{0}:x:{1}:4242::/:{2}\n"), ("shadow", "{0}:*:{3}\n")):
        with (etc / file).open("a") as table:
            table.writelines(row.format(name, 4242 + n, *of) for n, (name, of) in enumerate(users.items()))
