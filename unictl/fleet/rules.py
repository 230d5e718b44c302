"""All rules for a fleet, each a function Fleet -> findings. Pure. To add a rule, add it to ``RULES``."""

from collections.abc import Callable, Iterable

from unictl.diagnostics.finding import Finding, Findings
from unictl.fleet import fleet_test_rules, host_rules, port_rules, reference_rules, service_rules
from unictl.fleet.model import Fleet

Rule = Callable[[Fleet], Iterable[Finding]]

RULES: tuple[Rule, ...] = (
    reference_rules.check_names,
    reference_rules.check_cycles,
    reference_rules.check_former_names,
    reference_rules.check_volume_owners,
    port_rules.check_port_numbers,
    port_rules.check_publications,
    port_rules.check_endpoint_capacity,
    port_rules.check_health_checks,
    host_rules.check_hosts,
    host_rules.check_networks,
    host_rules.check_placement,
    service_rules.check_updates,
    service_rules.check_activations,
    service_rules.check_jobs,
    service_rules.check_images,
    service_rules.check_secrets,
    fleet_test_rules.check_tests,
)


def check_fleet(fleet: Fleet) -> Findings:
    """Everything that is wrong in ``fleet``, in the order of the rules."""
    return tuple(finding for rule in RULES for finding in rule(fleet))
