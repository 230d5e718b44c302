"""The fleet as declared, resolved and typed: what the fleet files mean after includes, templates and environments.
Pure.

Holds no places (``declaration`` keeps those in a side table by path) and no bytes of images. Memory and sizes are
bytes, durations are milliseconds. A field's default is the default of the fleet language. Which fields are part of
an instance's specification is decided in ``instances``, not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from unictl.fleet.quantities import Share
from unictl.fleet.references import Text

MIB = 1 << 20
_NO_SHARE = Share(number=0)
_ONE_INSTANCE = Share(number=1)
_ONE_FIFTH = Share(number=20, percent=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionAddress:
    """How a host is reached: ``local``, or ssh with optional user and port."""

    kind: str = "local"
    host: str = ""
    user: str = ""
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Bounds of what a host keeps for looking back."""

    retired: int = 5
    console: int = MIB
    images: int = 10
    ledger: int = 16 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine with a hypervisor. ``memory``, ``cpus``: declared capacity, else surveyed."""

    name: str
    connect: ConnectionAddress = field(default_factory=ConnectionAddress)
    address: str = ""
    become: bool = False
    root: str = ""
    zone: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    memory: int | None = None
    cpus: int | None = None
    reserve: int | Share | None = None
    hypervisors: tuple[str, ...] = ()
    ingress: bool = True
    drain: bool = False
    lost: bool = False
    keep: Retention = field(default_factory=Retention)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """``mode`` is user, bridge or vxlan. ``endpoints``: a CIDR, or a port range ``20000-29999`` for user networks."""

    name: str
    mode: str = "user"
    subnet: str = "10.0.2.0/24"
    gateway: str = ""
    dns: str = ""
    bridge: str = ""
    vni: int | None = None
    mtu: int | None = None
    endpoints: str = "20000-29999"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where one file of an image comes from: a path in the repository, or an https URL with its digest."""

    path: str = ""
    url: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A command that makes the image's files; runs only with trust."""

    run: tuple[str, ...]
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The files a guest boots from, before they are resolved to digests."""

    name: str
    guest: str
    version: str = ""
    kernel: Source | None = None
    initrd: Source | None = None
    disk: Source | None = None
    oci: str = ""
    build: Build | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Data that outlives instances; ``size`` in bytes."""

    name: str
    size: int
    host: str = ""
    accept_loss: bool = False
    snapshot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A value that only the guest sees; exactly one of ``env``, ``file``, ``command`` is set."""

    name: str
    env: str = ""
    file: str = ""
    command: tuple[str, ...] = ()
    version: int = 1
    visible_on_host: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """``port`` on every ingress host leads to the service's port named ``to``."""

    port: int
    to: str
    host: str = ""
    sni: str = ""
    tls: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """What the guest listens on."""

    name: str
    number: int
    udp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One health check.

    ``kind``: http (``path``, ``port``), tcp (``send``, ``expect``, ``port``), console (``pattern``).
    """

    kind: str
    port: str = ""
    path: str = ""
    send: str = ""
    expect: str = ""
    pattern: str = ""
    interval: int = 500
    timeout: int = 2000
    min_healthy_time: int = 2000
    healthy_deadline: int = 30_000


class Order(Enum):
    """Which of old and new goes first in a replacement."""

    AUTO = "auto"
    CREATE_FIRST = "create-first"
    STOP_FIRST = "stop-first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """How a service's instances are replaced."""

    max_parallel: Share = _ONE_INSTANCE
    canary: Share = _NO_SHARE
    order: Order = Order.AUTO
    auto_revert: bool = True
    progress_deadline: int = 300_000
    drain: int = 10_000
    min_available: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where instances may stand. ``hosts`` is a selector (``hv*``, ``@label``, comma separated); empty: all."""

    hosts: str = ""
    require: Mapping[str, str] = field(default_factory=dict)
    spread: str = "host"
    apart_from: tuple[str, ...] = ()
    cpu_ratio: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRequestActivation:
    """Started at the first connection; stopped after ``idle`` ms without one."""

    idle: int
    start_timeout: int = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file put into the guest: from the repository, or a secret's value."""

    path: str
    source: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One component of the application, with templates and environment merged in."""

    name: str
    image: str
    kind: str = "service"
    hypervisor: str = ""
    machine: str = ""
    replicas: int = 1
    memory: int = 64 * MIB
    cpus: int = 1
    network: tuple[str, ...] = ()
    args: tuple[Text, ...] = ()
    environment: Mapping[str, Text] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    volumes: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    publish: tuple[Publication, ...] = ()
    needs: tuple[str, ...] = ()
    health: tuple[Probe, ...] = ()
    update: Update = Update()
    placement: Placement = field(default_factory=Placement)
    restart: str = "on-crash"
    activation: OnRequestActivation | None = None
    protect: bool = False
    was: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one plan may do at most."""

    max_destroy: Share = _ONE_FIFTH
    max_changes: Share | None = None
    require_clean_tree: bool = False
    signed_commits: tuple[str, ...] = ()
    signed_images: tuple[str, ...] = ()
    require_health: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLoss:
    """Hosts that a test loses: ``any`` ``count`` of ``host``, ``zone`` or a label's values, or those of a selector."""

    any: str = ""
    count: int = 1
    hosts: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTest:
    """One test of the fleet: what is supposed (``lose``, ``without``, ``scale``), and what has to hold then.

    ``healthy``: selector of services -> how many replicas of each answer at once, before anything is placed anew;
    ``fits``: everything finds a place again; ``apart``: services that never share a host; ``no_plan_destroys``:
    services whose instances no plan takes away unless it is told to.
    """

    name: str
    lose: HostLoss | None = None
    without: tuple[str, ...] = ()
    scale: Mapping[str, int] = field(default_factory=dict)
    healthy: Mapping[str, Share] = field(default_factory=dict)
    fits: bool = False
    apart: tuple[str, ...] = ()
    no_plan_destroys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A command told about events; runs only with trust."""

    run: tuple[str, ...]
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything one fleet file (with its includes) declares, for one environment."""

    name: str
    id: str = ""
    was: str = ""
    environment: str = ""
    hosts: Mapping[str, Host] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    default_network: str = "user"
    images: Mapping[str, Image] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    policy: Policy = Policy()
    tests: Mapping[str, FleetTest] = field(default_factory=dict)
    notify: tuple[Notification, ...] = ()

    @property
    def mark(self) -> str:
        """``name`` or ``name@environment``: what instances bear, together with ``id``."""
        return f"{self.name}@{self.environment}" if self.environment else self.name

    @property
    def owner(self) -> str:
        """The mark with the id, as hosts key it: ``shop-5f0c2a``, ``shop@staging-5f0c2a``."""
        return f"{self.mark}-{self.id}" if self.id else self.mark

    @property
    def former_owner(self) -> str:
        """The owner it was before it was renamed; empty where it was not."""
        return replace(self, name=self.was, was="").owner if self.was else ""
