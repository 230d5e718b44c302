"""Fingerprints that failed their health gate in an earlier apply. They are not launched again without `-retry`.
Pure.

Otherwise a pipeline that applies every push would repeat the same failing rollout forever.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from unictl.instances.observed.host_state import Survey

FailedFingerprints = Mapping[str, frozenset[str]]
"""Service -> the fingerprints that failed."""


def failed_fingerprints(surveys: Iterable[Survey]) -> FailedFingerprints:
    """What the gates of earlier applies found unhealthy, and none has found healthy since.

    Every host knows the applies that touched it: the latest word on a fingerprint counts, whoever has it. What passed
    its gate on any host is good, whatever was said of another replica.
    """
    surveys = tuple(surveys)
    latest_results: dict[tuple[str, str], tuple[float, bool]] = {}
    for gate in (gate for item in surveys for gate in item.gates):
        subject, result = (gate.service, gate.fingerprint), (gate.at, gate.healthy)
        latest_results[subject] = max(result, latest_results.get(subject, result))
    unhealthy = {subject for subject, (_, healthy) in latest_results.items() if not healthy}
    if unhealthy:
        unhealthy -= {(live.service, live.fingerprint) for item in surveys for live in item.instances if live.proven}
    by_service: defaultdict[str, set[str]] = defaultdict(set)
    for service, fingerprint in unhealthy:
        by_service[service].add(fingerprint)
    return {service: frozenset(item) for service, item in sorted(by_service.items())}
