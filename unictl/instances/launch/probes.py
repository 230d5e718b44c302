"""The health probes of an instance as the JSON that a host runs. Pure."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from unictl.fleet.model import Probe
from unictl.hypervisors.launch import ForwardRow


class ProbeRow(TypedDict):
    """One health probe."""

    kind: str
    path: str
    send: str
    expect: str
    pattern: str
    interval: int
    timeout: int
    # The forwarded port and its address; missing for a probe of the console, and where no port is forwarded.
    port: NotRequired[int]
    bind: NotRequired[str]


def probe_json(probe: Probe, forwards: Sequence[ForwardRow]) -> ProbeRow:
    """A probe as the host asks it: of the forwarded port."""
    probe_row: ProbeRow = {
        "kind": probe.kind,
        "path": probe.path,
        "send": probe.send,
        "expect": probe.expect,
        "pattern": probe.pattern,
        "interval": probe.interval,
        "timeout": probe.timeout,
    }
    if probe.kind == "console":
        return probe_row
    matching_forwards = [
        forward for forward in forwards if not forward.get("udp") and probe.port in ("", forward.get("name"))
    ]
    if matching_forwards:
        probe_row["port"] = int(matching_forwards[0]["host"])
        probe_row["bind"] = str(matching_forwards[0].get("bind", ""))
    return probe_row
