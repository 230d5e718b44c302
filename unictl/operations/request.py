"""The parameters of a use case: values filled in by the command line. Nothing here acts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRequest:
    """Which fleet is meant, and how its files are read.

    ``path`` is a folder or a fleet file; ``at`` a git revision (empty: the working tree); ``locked`` refuses to write
    or to go beyond ``fleet.lock``; ``variables`` the ``--var`` overrides; ``process_environment`` what
    ``env:`` secrets are read from.
    """

    path: Path = Path()
    environment: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    at: str = ""
    locked: bool = False
    process_environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """How a plan is carried out. ``lock_timeout`` in seconds; ``holder`` names the user in the lease;
    ``process_environment`` is what ``env:`` secrets are read from."""

    parallelism: int = 10
    lock_timeout: float = 0.0
    holder: str = ""
    process_environment: Mapping[str, str] = field(default_factory=dict)
