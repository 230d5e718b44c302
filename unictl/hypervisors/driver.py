"""What the control side asks of a hypervisor: the one interface, filled in by one module for each. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unictl.diagnostics.finding import Finding
from unictl.guests.command_words import LineLimit
from unictl.guests.family import Boot, GuestFamily, PartFacts
from unictl.hypervisors.launch import Forward, Launch


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervisorDriver:
    """One hypervisor. Ask ``refusals`` before ``launch``."""

    # What `hypervisor:` in a fleet file and in a launch document calls it.
    name: str
    # Bytes its process takes besides the guest's memory.
    overhead: int
    # How long a guest's command line may be; None where it may be of any length.
    line_limit: LineLimit | None
    # The tokens of its own in launch documents, beside those of `launch.SHARED_TOKENS`.
    tokens: tuple[str, ...]
    # The code of a survey's row that says a host lacks this hypervisor.
    missing_code: str
    # (owner, key) -> the word in argv that names the process of one generation, by which a host recognises it.
    identity: Callable[[str, str], str]
    # What only shows once every reference but the secrets is resolved.
    refusals: Callable[[GuestFamily, PartFacts, Boot], tuple[Finding, ...]]
    # How a boot is run.
    launch: Callable[[GuestFamily, PartFacts, Boot, Sequence[Forward]], Launch]
