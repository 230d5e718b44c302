"""What failed its gate when it was last tried: it is not tried again by itself. Pure.

A pipeline that answers every push would else go through the same bad rollout for ever.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from unictl.instances.live import Survey

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
