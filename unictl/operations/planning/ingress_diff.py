"""Add the differences of the ingress configuration, old and new, to a plan's ingress changes.

Queries the hosts only if the plan has such a change: for all others the survey is sufficient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from unictl.execution import queries
from unictl.hosts.connector import connect
from unictl.instances.observed.host_state import Survey, World
from unictl.plan.ingress import config_diff, members
from unictl.plan.model.change import Action, Change
from unictl.plan.model.reason import Reason

if TYPE_CHECKING:
    from unictl.fleet.model import Fleet
    from unictl.plan.model.plan import Plan


def explained(made: Plan, fleet: Fleet, world: World) -> Plan:
    """The plan, its ingress rows with the fields that differ."""
    hosts = [change.host for change in made.changes if _asks(change, world)]
    if not hosts:
        return made
    told = queries.ingress_texts(fleet, connect, hosts)
    wished = {
        step.host: members.compose(made.owner, step.data["services"])
        for step in made.steps
        if step.id in {f"join:{host}" for host in told}
    }
    changes = (_explained(each, told, wished, world) if each.subject == "ingress" else each for each in made.changes)
    return replace(made, changes=tuple(changes))


def _asks(change: Change, world: World) -> bool:
    """Whether it is a running ingress that is written anew."""
    said = world.get(change.host)
    about = change.subject == "ingress" and change.action is Action.ADJUST and change.reason == Reason.INGRESS
    return about and isinstance(said, Survey) and said.ingress.get("state") == "running"


def _explained(
    change: Change, told: Mapping[str, Mapping[str, str]], wished: Mapping[str, str], world: World
) -> Change:
    said, now = world.get(change.host), told.get(change.host)
    # Who was asked again may have another by now.
    if now is None or change.host not in wished or not isinstance(said, Survey) or now["hash"] != said.ingress["hash"]:
        return change
    fields = config_diff.differences(now["text"], wished[change.host])
    if not fields:
        return change
    origin = change.origin or next(filter(None, map(config_diff.origin, fields)), ())
    return replace(change, fields=(*change.fields, *fields), detail="", origin=origin)
