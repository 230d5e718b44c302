"""Fingerprints that failed their health gate in an earlier apply. They are not launched again without `-retry`.
Pure.

Otherwise a pipeline that applies every push would repeat the same failing rollout forever.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from unictl.instances.observed.host_state import Survey

Failed = Mapping[str, frozenset[str]]
"""Service -> the fingerprints that failed."""


def failed_before(surveys: Iterable[Survey]) -> Failed:
    """What the gates of earlier applies found unhealthy, and none has found healthy since.

    Every host knows the applies that touched it: the latest word on a fingerprint counts, whoever has it. What passed
    its gate on any host is good, whatever was said of another replica.
    """
    surveys = tuple(surveys)
    said: dict[tuple[str, str], tuple[float, bool]] = {}
    for row in (row for each in surveys for row in each.gates):
        about, word = (row["service"], row["fingerprint"]), (float(row["at"]), bool(row["healthy"]))
        said[about] = max(word, said.get(about, word))
    bad = {about for about, (_, healthy) in said.items() if not healthy}
    if bad:
        bad -= {(live.service, live.fingerprint) for each in surveys for live in each.instances if live.proven}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for service, fingerprint in bad:
        found[service].add(fingerprint)
    return {service: frozenset(each) for service, each in sorted(found.items())}
