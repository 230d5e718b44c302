"""A Linux guest for tests: the cloud kernel of Debian or Ubuntu, its virtio modules, and an init of our own in a cpio
archive.

Needs on the machine: the package that ``linux-image-cloud-amd64`` (Debian) or ``linux-image-virtual`` (Ubuntu) depends
on, installed or downloadable by apt;
``gcc`` with ``libc6-dev``, or the ``ziglang`` package from PyPI.
"""

import lzma
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


PACKAGES = ("linux-image-cloud-amd64", "linux-image-virtual")
IMAGES = ("boot/vmlinuz-*-cloud-amd64", "boot/vmlinuz-*-generic")


def kernel(cache: Path) -> tuple[Path, Path]:
    """(vmlinuz, folder of its modules): the installed cloud kernel, else the package's, unpacked into ``cache``.

    FileNotFoundError with a sentence where there is neither the package nor an archive to get it from.
    """
    found = _kernel(Path("/")) or _kernel(cache)
    if found is None:
        _download(cache)
        found = _kernel(cache)
    if found is None:
        raise FileNotFoundError(f"the kernel package has none of {', '.join(IMAGES)}")
    return found


def _kernel(root: Path) -> tuple[Path, Path] | None:
    for image in sorted((image for form in IMAGES for image in root.glob(form)), reverse=True):
        inside = f"lib/modules/{image.name.removeprefix('vmlinuz-')}/kernel"
        # Ubuntu's has the drivers of virtio built in, and its modules in a package of their own.
        places = [place for place in (root / inside, root / "usr" / inside) if place.is_dir()]
        if places or image.name.endswith("-generic"):
            return image, (*places, root / inside)[0]
    return None


def _download(cache: Path) -> None:
    if not shutil.which("apt-get"):
        raise FileNotFoundError("no cloud kernel here, and no apt to download one with")
    said = [_run(["apt-cache", "depends", name], cache).stdout for name in PACKAGES]
    name = re.search(r"Depends: (linux-image-\S+)", "".join(said))
    if name is None:
        raise FileNotFoundError(f"apt knows neither of {', '.join(PACKAGES)}: run apt-get update")
    done = _run(["apt-get", "download", name[1]], cache)
    packages = list(cache.glob("linux-image-*.deb"))
    if done.returncode or not packages:
        raise FileNotFoundError(f"apt-get download {name[1]}: {done.stderr.strip()}")
    subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(cache)], check=True)
    packages[0].unlink()


def _run(argv: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=folder, check=False, capture_output=True, text=True)


def initrd(modules: Path, cache: Path) -> bytes:
    """The archive: ``/init`` and the modules, as far as they are not built in, as ``/modules/NN-NAME.ko``."""
    files = {"init": init(cache).read_bytes()}
    for index, name in enumerate(MODULES):
        plain, packed = modules / f"{name}.ko", modules / f"{name}.ko.xz"
        if plain.is_file() or packed.is_file():
            content = plain.read_bytes() if plain.is_file() else lzma.decompress(packed.read_bytes())
            files[f"modules/{index:02}-{Path(name).name}.ko"] = content
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
