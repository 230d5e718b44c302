"""Why a plan changes something: stable codes for machines and reviewers.

Nothing decides by a code, with one exception: guards use it to tell a loss from the end of a replacement.
"""

from enum import StrEnum


class Reason(StrEnum):
    """The fixed codes. ``replace_because_<field>`` and ``held_because_volume_on_<host>`` are made as needed."""

    UNCHANGED = "keep_because_unchanged"
    NEW = "create_because_new"
    UNFINISHED = "create_because_begun"
    CRASHED = "create_because_crashed"
    REBOOTED = "create_because_host_rebooted"
    CONFIG = "replace_because_config"
    ENDPOINT = "replace_because_endpoint"
    ADDRESS = "replace_because_address"
    REQUESTED = "replace_because_requested"
    RENAMED = "replace_because_renamed"
    DAMAGED = "replace_because_damaged"
    MOVE_DRAIN = "move_because_drain"
    MOVE_PLACEMENT = "move_because_placement"
    MOVE_REBALANCE = "move_because_rebalance"
    NOT_IN_FLEET = "destroy_because_not_in_fleet"
    SCALED_DOWN = "destroy_because_scaled_down"
    DESTROY_REQUESTED = "destroy_because_requested"
    TWIN = "destroy_because_twin"
    LEAVING = "destroy_because_leaving"
    VOLUME_NAMED = "destroy_because_volume_named"
    INGRESS = "adjust_because_ingress"
    PROTECT = "adjust_because_protect"
    CHECK_REMOVED = "adjust_because_check_removed"
    CHECK_ADDED = "adjust_because_check_added"
    UNSUPERVISED = "adjust_because_unsupervised"
    FLEET_RENAMED = "adjust_because_fleet_renamed"
    NOT_AT_BOOT = "adjust_because_not_at_boot"
    POLICY = "adjust_because_policy"
    IMAGE_DAMAGED = "adjust_because_image_damaged"
    IMAGE_MISSING = "adjust_because_image_missing"
    UNREACHABLE = "unknown_because_unreachable"
    PROTECTED = "held_because_protected"
    INGRESS_UNKNOWN = "held_because_ingress_unknown"
    FAILED_BEFORE = "held_because_failed_before"
    NO_HOST = "held_because_no_host"


COMPLETES_REPLACEMENT = frozenset((Reason.TWIN, Reason.LEAVING))
"""Destroys that take away nothing: another generation stays, or the loss was decided by an earlier apply."""


def replace_because(field: str) -> str:
    """``replace_because_args``."""
    return f"replace_because_{field}"


def hold_because_volume_on(host: str) -> str:
    """``held_because_volume_on_hv1``."""
    return f"held_because_volume_on_{host}"
