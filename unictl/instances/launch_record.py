"""The launch spec and the launch document of an instance, as plans and records hold them. Types only."""

from typing import NotRequired, TypedDict

from unictl.hypervisors.launch import RunSection


class NetworkSpec(TypedDict, total=False):
    """One network of a spec: what is not at its default."""

    mode: str
    subnet: str
    gateway: str
    dns: str
    bridge: str
    vni: int
    mtu: int


class OnRequestSpec(TypedDict):
    idle: int
    start_timeout: NotRequired[int]


class LaunchSpec(TypedDict, total=False):
    """The canonical launch spec of an instance; a field at its default is left out."""

    # Guest family, version, and the digest of each part.
    image: dict[str, str]
    kind: str
    hypervisor: str
    machine: str
    memory: int
    cpus: int
    network: list[NetworkSpec]
    args: list[str]
    environment: dict[str, str]
    # Path in the guest -> {secret: name} or {sha256: digest}.
    files: dict[str, dict[str, str]]
    # Device -> volume.
    volumes: dict[str, str]
    ports: dict[str, int | str]
    restart: str
    activation: str | dict[str, OnRequestSpec]
    # Name -> version.
    secrets: dict[str, int]


class LaunchDocument(TypedDict, total=False):
    """The launch document of one instance: what a host starts it from, and writes into its record."""

    name: str
    generation: str
    service: str
    ordinal: int
    launch: int
    fingerprint: str
    spec: LaunchSpec
    # What the references of its spec mean on its host.
    resolved: dict[str, str]
    commit: str
    protect: bool
    restart: str
    run: RunSection
