"""Add the differences of the ingress configuration, old and new, to a plan's ingress changes.

Queries the hosts only if the plan has such a change: for all others the survey is sufficient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from unictl.execution import queries
from unictl.hosts.connector import connect_host
from unictl.hosts.replies import IngressConfig
from unictl.instances.observed.host_state import LiveState, Survey
from unictl.plan.ingress import config_diff, members
from unictl.plan.model import step_ids
from unictl.plan.model.change import Action, Change
from unictl.plan.model.payloads import IngressData
from unictl.plan.model.reason import Reason

if TYPE_CHECKING:
    from unictl.fleet.model import Fleet
    from unictl.plan.model.plan import Plan


def with_config_differences(base_plan: Plan, fleet: Fleet, world: LiveState) -> Plan:
    """The plan, its ingress rows with the fields that differ."""
    hosts = [change.host for change in base_plan.changes if _is_changed_ingress(change, world)]
    if not hosts:
        return base_plan
    live_configs = queries.ingress_configs(fleet, connect_host, hosts)
    adjusting_ids = {step_ids.whole_ingress_id(host) for host in live_configs}
    desired_configs = {
        step.host: members.render_config(base_plan.owner, step.data_as(IngressData).services)
        for step in base_plan.steps
        if step.id in adjusting_ids
    }
    changes = (
        _with_differences(change_entry, live_configs, desired_configs, world)
        if change_entry.subject == "ingress"
        else change_entry
        for change_entry in base_plan.changes
    )
    return replace(base_plan, changes=tuple(changes))


def _is_changed_ingress(change: Change, world: LiveState) -> bool:
    """Whether it is a running ingress that is written anew."""
    host_survey = world.get(change.host)
    is_ingress_change = (
        change.subject == "ingress" and change.action is Action.ADJUST and change.reason == Reason.INGRESS
    )
    return is_ingress_change and isinstance(host_survey, Survey) and host_survey.ingress.get("state") == "running"


def _with_differences(
    change: Change, live_configs: Mapping[str, IngressConfig], desired_configs: Mapping[str, str], world: LiveState
) -> Change:
    host_survey, live_config = world.get(change.host), live_configs.get(change.host)
    # Who was asked again may have another by now.
    if (
        live_config is None
        or change.host not in desired_configs
        or not isinstance(host_survey, Survey)
        or live_config.digest != host_survey.ingress["hash"]
    ):
        return change
    fields = config_diff.differences(live_config.text, desired_configs[change.host])
    if not fields:
        return change
    origin = change.origin or next(filter(None, map(config_diff.field_origin, fields)), ())
    return replace(change, fields=(*change.fields, *fields), detail="", origin=origin)
