"""Reason codes in words. Pure; for display only.

The text of a code that is not in the table is derived from the code, so that a new one is never shown as nothing.
"""

from collections.abc import Mapping

from unictl.plan.model.change import Action, Change

_PHRASES: Mapping[str, str] = {
    "keep_because_unchanged": "nothing about it differs",
    "create_because_absent": "no host has it",
    "create_because_new": "no host has it",
    "create_because_begun": "an earlier apply began it, and it has not passed its gate",
    "create_because_crashed": "it ended and is not started again by itself",
    "create_because_host_rebooted": "it was lost when the host rebooted",
    "create_because_lost": "its host is marked lost",
    "replace_because_activation": "when it is started changed",
    "replace_because_address": "where its ports listen on the host changed",
    "replace_because_args": "its arguments changed",
    "replace_because_config": "several of its settings changed",
    "replace_because_cpus": "its number of CPUs changed",
    "replace_because_crashed": "it crashed",
    "replace_because_damaged": "its record on the host is not as unictl wrote it",
    "replace_because_endpoint": "an endpoint it is given moved",
    "replace_because_environment": "its environment changed",
    "replace_because_files": "its files changed",
    "replace_because_hypervisor": "its hypervisor changed",
    "replace_because_image": "the image changed",
    "replace_because_kind": "it became a job, or is one no more",
    "replace_because_launch": "what is launched changed",
    "replace_because_machine": "its machine type changed",
    "replace_because_memory": "its memory changed",
    "replace_because_network": "its network changed",
    "replace_because_ports": "its ports changed",
    "replace_because_renamed": "it has a new name",
    "replace_because_requested": "asked for by -replace",
    "replace_because_restart": "when it is started again changed",
    "replace_because_secret": "a secret it is given has a new version",
    "replace_because_secrets": "a secret it is given has a new version",
    "replace_because_volumes": "its volumes changed",
    "move_because_drain": "its host is drained",
    "move_because_rebalance": "asked for by -rebalance: its service is spread unevenly",
    "move_because_placement": "it may not stay where it is",
    "destroy_because_not_in_fleet": "the fleet file does not have it any more",
    "destroy_because_scale_down": "the service has fewer replicas",
    "destroy_because_scaled_down": "the service has fewer replicas",
    "destroy_because_surplus": "it exists twice",
    "destroy_because_twin": "it exists twice, and another generation of it stays",
    "destroy_because_leaving": "an earlier apply began to take it down",
    "destroy_because_requested": "asked for by -destroy",
    "destroy_because_volume_named": "named by -allow-destroy",
    "adjust_because_check_added": "its service has a health check now: that one is taken away is told from now on",
    "adjust_because_check_removed": "its service has no health check any more: that it runs is all that counts",
    "adjust_because_fleet_renamed": "the host calls the fleet by its new name from now on; what runs stays as it is",
    "adjust_because_image_damaged": "its bytes on the host are not those of its name any more: it is brought anew",
    "adjust_because_image_missing": "it is gone from the host, and what runs from it could not start again",
    "adjust_because_ingress": "the ingress is not as it is to be",
    "adjust_because_marks": "what is noted about it changes",
    "adjust_because_policy": "the host remembers another policy or other hosts of the fleet",
    "adjust_because_protect": "its protection changes",
    "adjust_because_unsupervised": "the process that watches it has died, and is started again",
    "adjust_because_not_at_boot": "its host would not start it at boot",
    "unknown_because_host_silent": "its host does not answer",
    "unknown_because_host_unreachable": "its host does not answer",
    "unknown_because_unreachable": "a host that may have it does not answer",
    "held_because_failed_before": "it failed when it was last tried, and nothing about it has changed since",
    "held_because_ingress_unknown": "an ingress that may route to it does not answer",
    "held_because_no_host": "there is no host for it",
    "held_because_protected": "it is protected",
}
_VOLUME_PREFIX = "held_because_volume_on_"
_VERBS = {
    Action.KEEP: "kept",
    Action.CREATE: "created",
    Action.REPLACE: "replaced",
    Action.DESTROY: "destroyed",
    Action.MOVE: "moved",
    Action.ADJUST: "adjusted",
    Action.UNKNOWN: "unknown",
    Action.HELD: "held",
}


def phrase(change: Change) -> str:
    """Why, as a piece of a sentence: ``the image changed``."""
    if change.reason in _PHRASES:
        return _PHRASES[change.reason]
    if change.reason.startswith(_VOLUME_PREFIX):
        return f"its volume is on {change.reason.removeprefix(_VOLUME_PREFIX)}"
    _, because, cause = change.reason.partition("_because_")
    return f"{_VERBS[change.action]} because of: {cause.replace('_', ' ')}" if because else change.reason


def sentence(change: Change) -> str:
    """Why, with what the change itself says of it, begun with a capital and ended with a full stop."""
    parts = [phrase(change), *([change.detail.rstrip(".")] if change.detail else [])]
    if change.order == "stop-first":
        parts.append(f"stop-first{': ' + change.order_reason.rstrip('.') if change.order_reason else ''}")
    joined = "; ".join(part for part in parts if part)
    return f"{joined[:1].upper()}{joined[1:]}." if joined else ""
