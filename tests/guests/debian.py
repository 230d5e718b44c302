"""A Linux guest for tests: Debian's cloud kernel, its virtio modules, and an init of our own in a cpio archive.

Needs on the machine: the Debian package that ``linux-image-cloud-amd64`` depends on, installed or downloadable by apt;
``gcc`` with ``libc6-dev``, or the ``ziglang`` package from PyPI.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "drivers/virtio/virtio_mmio",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
)
"""In the order they are loaded: each needs only those before it."""


def kernel(cache: Path) -> tuple[Path, Path]:
    """(vmlinuz, folder of its modules): the installed cloud kernel, else Debian's package unpacked into ``cache``.

    FileNotFoundError with a sentence where there is neither the package nor an archive to get it from.
    """
    for root in (Path("/"), cache):
        for image in sorted(root.glob("boot/vmlinuz-*-cloud-amd64"), reverse=True):
            modules = root / "lib/modules" / image.name.removeprefix("vmlinuz-") / "kernel"
            if modules.is_dir():
                return image, modules
    _download(cache)
    return kernel(cache)


def _download(cache: Path) -> None:
    if not shutil.which("apt-get"):
        raise FileNotFoundError("no Debian cloud kernel here, and no apt to download it with")
    said = _run(["apt-cache", "depends", "linux-image-cloud-amd64"], cache)
    name = re.search(r"Depends: (linux-image-\S+)", said.stdout)
    if name is None:
        raise FileNotFoundError("apt knows no linux-image-cloud-amd64: run apt-get update")
    done = _run(["apt-get", "download", name[1]], cache)
    packages = list(cache.glob("linux-image-*.deb"))
    if done.returncode or not packages:
        raise FileNotFoundError(f"apt-get download {name[1]}: {done.stderr.strip()}")
    subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(cache)], check=True)
    packages[0].unlink()


def _run(argv: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=folder, check=False, capture_output=True, text=True)


def initrd(modules: Path, cache: Path) -> bytes:
    """The archive: ``/init`` and the modules as ``/modules/NN-NAME.ko``."""
    files = {"init": init(cache).read_bytes()}
    for index, name in enumerate(MODULES):
        files[f"modules/{index:02}-{Path(name).name}.ko"] = (modules / f"{name}.ko").read_bytes()
    return cpio(files)


def init(cache: Path) -> Path:
    """The static init, compiled once for each version of its source."""
    source = Path(__file__).with_name("linux_init.c")
    built = cache / "init"
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"]
        compiler = ["gcc"] if shutil.which("gcc") else zig
        aside = cache / "init.new"
        subprocess.run([*compiler, "-static", "-Os", "-Wall", "-Wextra", "-o", str(aside), str(source)], check=True)
        aside.rename(built)
    return built


def cpio(files: Mapping[str, bytes]) -> bytes:
    """A cpio archive in the ``newc`` form that the kernel unpacks: folders as needed, every file executable."""
    folders = sorted({str(parent) for name in files for parent in Path(name).parents} - {"."})
    entries = [(name, 0o040755, b"") for name in folders]
    entries += [(name, 0o100755, data) for name, data in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(_entry(index, *entry) for index, entry in enumerate(entries, 1))


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    path = name.encode() + b"\0"
    numbers = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % value for value in numbers)
    return _padded(head + path) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
