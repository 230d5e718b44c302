"""All rules for a fleet, each a function Fleet -> findings. Pure. To add a rule, add it to ``RULES``."""

from collections.abc import Callable, Iterable

from unictl.diagnostics.finding import Finding, Findings
from unictl.fleet import fleet_test_rules, host_rules, port_rules, reference_rules, service_rules
from unictl.fleet.model import Fleet

Rule = Callable[[Fleet], Iterable[Finding]]

RULES: tuple[Rule, ...] = (
    reference_rules.names,
    reference_rules.circles,
    reference_rules.former_names,
    reference_rules.volume_owners,
    port_rules.listening,
    port_rules.published,
    port_rules.enough_endpoints,
    port_rules.checks,
    host_rules.hosts,
    host_rules.networks,
    host_rules.placement,
    service_rules.updates,
    service_rules.activations,
    service_rules.jobs,
    service_rules.images,
    service_rules.secrets,
    fleet_test_rules.tests,
)


def findings(fleet: Fleet) -> Findings:
    """Everything that is wrong in ``fleet``, in the order of the rules."""
    return tuple(finding for rule in RULES for finding in rule(fleet))
