"""What a lab host is installed from, built once and kept under the hash of its recipe."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "sudo"),
    *("iproute2", "nftables", "haproxy", "qemu-system-x86", "qemu-utils"),
)
MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("e2scrub_reap.service", "haproxy.service", "nftables.service", "console-getty.service", "getty.target"),
    *("systemd-timesyncd.service", "systemd-networkd-wait-online.service", "systemd-logind.service"),
)
DOCUMENTS = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
SETUP = f"""\
set -eu
for name in ops plain careful; do useradd -m -s /bin/bash $name; done
echo careful:not-told | chpasswd
printf 'ops ALL=(ALL) NOPASSWD: ALL\\ncareful ALL=(ALL) ALL\\n' > /etc/sudoers.d/lab
printf 'AuthorizedKeysFile /etc/ssh/lab_keys\\nTrustedUserCAKeys /etc/ssh/lab_ca.pub\\nHostKey /etc/ssh/lab_host\\n' \
  > /etc/ssh/sshd_config.d/lab.conf
printf '[Match]\\nName=host0\\n[Network]\\nDHCP=no\\nIPv6AcceptRA=no\\nLinkLocalAddressing=no\\n' \
  > /etc/systemd/network/10-lab.network
systemctl -q mask {" ".join(MASKED)}
systemctl -q enable systemd-networkd.service ssh.service
rm -f /etc/ssh/ssh_host_* /etc/resolv.conf /etc/machine-id
rm -rf /var/cache/apt/* /var/lib/apt/lists/*
"""
"""Run inside the new root. What differs between hosts is written over it at their start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One release of Debian with what a hypervisor host has."""

    suite: str
    packages: tuple[str, ...] = PACKAGES

    @property
    def key(self) -> str:
        """Names its root: other words in the recipe, another root."""
        return hashlib.sha256("\0".join((self.suite, *self.packages, *DOCUMENTS, SETUP)).encode()).hexdigest()[:16]


def cache() -> Path:
    """Where roots and labs are kept: never in a checkout, never under /tmp."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "unictl-lab"


def root(recipe: Recipe) -> Path:
    """The installed root of a recipe, read-only by agreement; built now if it is not there (about half a minute)."""
    made = cache() / "roots" / f"{recipe.suite}-{recipe.key}"
    if made.is_dir():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    with locked(made.parent / f"{recipe.suite}.lock"):
        if not made.is_dir():
            _build(recipe, made)
    return made


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One at a time, over processes."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(recipe: Recipe, made: Path) -> None:
    for old in made.parent.glob(f".{recipe.suite}-*"):
        shutil.rmtree(old)
    aside = made.with_name(f".{made.name}")
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(recipe.packages)}"]
    command += ["--aptopt=Acquire::Languages none"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in DOCUMENTS]
    command += [f"--customize-hook=chroot \"$1\" sh -c '{_quoted(SETUP)}'", recipe.suite, str(aside)]
    scratch = made.parent / ".scratch"
    scratch.mkdir(exist_ok=True)
    log = made.parent / f"{recipe.suite}.log"
    with log.open("w") as out:
        done = subprocess.run(command, stdout=out, stderr=out, check=False, env={**os.environ, "TMPDIR": str(scratch)})
    if done.returncode:
        raise RuntimeError(f"mmdebstrap failed ({done.returncode}); the end of {log}:\n{log.read_text()[-2000:]}")
    aside.rename(made)


def _quoted(text: str) -> str:
    return text.replace("'", "'\\''")
