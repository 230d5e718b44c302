"""The interface of a guest family, and the values a guest is started with. Pure: no bytes, no hosts, no paths.

A family knows its boot protocol, its command line, the devices its drivers support, and how its exits look. It
knows nothing of hypervisor options beyond device models: ``hypervisors`` turns all this into argv.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Image, Service
from unictl.guests.exit_rules import ExitRule
from unictl.guests.image_facts import ImageFacts
from unictl.guests.image_header import ImageHeader

PartFacts = Mapping[str, ImageFacts]
"""Facts of an image's files by their place: ``kernel``, ``initrd``, ``disk``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """A NIC: ``address`` with prefix (``10.0.2.15/24``); ``dns`` may be empty; ``mode`` is its network's."""

    address: str
    gateway: str
    dns: str = ""
    mac: str
    mode: str = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A volume on the name the guest knows it by (``storage``; ``vdb``)."""

    device: str
    volume: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What one instance is handed. ``memory`` in bytes.

    Texts of ``args`` and ``environment`` are resolved except for secrets, which stay as ``{secret:NAME}``; the host
    puts the value there. ``owner`` is the fleet's mark with its id: it keeps two fleets' instances apart.
    ``version`` is the image's, ``hostname`` what the guest is called on its network. ``parts`` are the places of the
    image's files (``kernel``, ``initrd``, ``disk``); a driver's ``launch`` fills them in from the facts.
    """

    name: str
    service: str
    ordinal: int
    generation: str
    owner: str = ""
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    nics: tuple[Nic, ...] = ()
    disks: tuple[Disk, ...] = ()
    memory: int
    cpus: int = 1
    version: str = ""
    machine: str = ""
    hostname: str = ""
    parts: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """``api-2.7f3c9a1b``."""
        return f"{self.name}.{self.generation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """The device models a guest's drivers understand, in QEMU's names.

    ``machine`` are options of the machine type, ``nic`` and ``disk`` models with their fixed options, ``extra`` whole
    ``-device`` values (isa-debug-exit), ``defaults`` whole ``-global`` values.
    """

    machine: tuple[str, ...] = ()
    nic: str = "virtio-net-pci"
    disk: str = "virtio-blk-pci"
    extra: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()


class GuestFamily(Protocol):
    """What every guest family answers. ``machines``: QEMU machine types it runs on, the default first.

    ``ready_pattern`` is a regular expression that the console shows once the guest's kernel is up, or empty.
    ``refused`` are the characters that no word of its command line can hold, secrets' values included.
    """

    @property
    def name(self) -> str: ...
    @property
    def machines(self) -> tuple[str, ...]: ...
    @property
    def exits(self) -> tuple[ExitRule, ...]: ...
    @property
    def ready_pattern(self) -> str: ...
    @property
    def refused(self) -> str: ...

    def recognise(self, header: ImageHeader) -> bool:
        """Whether a file looks like a kernel of this family. The guess only warns: the fleet file names the family."""

    def preflight(self, service: Service, image: Image, facts: PartFacts, machine: str) -> tuple[Finding, ...]:
        """Everything that cannot work, found before anything is touched; empty where it fits."""

    def command_line(self, boot: Boot) -> str:
        """What the guest's kernel is told, without a program name; ``boot.machine`` is never empty here."""

    def devices(self, boot: Boot) -> Devices:
        """The devices the guest gets; how many follows from the boot."""
