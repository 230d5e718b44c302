"""The table of network engines by the mode of the networks they serve. Values only."""

from collections.abc import Mapping

from unictl.hypervisors.network import NetworkEngine
from unictl.hypervisors.slirp import SLIRP

ENGINES: Mapping[str, NetworkEngine] = {engine.mode: engine for engine in (SLIRP,)}
