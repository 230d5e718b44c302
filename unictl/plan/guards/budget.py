"""Limits of one plan: the destroy budget, the bound on changes, and the requirements of the policy. Pure.

A plan must satisfy both the policy last applied and the new one.
"""

from collections.abc import Iterator, Sequence

from unictl.diagnostics.finding import Finding
from unictl.fleet.model import Policy
from unictl.fleet.names import listed
from unictl.fleet.quantities import Share
from unictl.plan.context.context import Situation
from unictl.plan.context.last_applied import stricter
from unictl.plan.model.change import Action, Change
from unictl.plan.model.reason import ENDS_A_REPLACEMENT
from unictl.plan.model.revision import Revision

_CHANGES = frozenset((Action.CREATE, Action.REPLACE, Action.MOVE, Action.DESTROY))


def judged(s: Situation, changes: Sequence[Change], revision: Revision, *, whole: bool) -> Iterator[Finding]:
    """Everything that policy has against these changes."""
    policies = stricter(s)
    if not (s.options.destroy and whole):
        yield from _destroys(s, changes, policies)
    yield from _changes(s, changes, policies)
    yield from _demands(s, policies, revision)


def losses(changes: Sequence[Change]) -> tuple[str, ...]:
    """The instances that a plan takes away for good; the end of a replacement is no loss."""
    return tuple(
        c.subject for c in changes if c.action is Action.DESTROY and c.old and c.reason not in ENDS_A_REPLACEMENT
    )


def _destroys(s: Situation, changes: Sequence[Change], policies: Sequence[Policy]) -> Iterator[Finding]:
    lost = losses(changes)
    allowed = min(budget(policy.max_destroy, len(s.lives)) for policy in policies)
    if len(lost) <= max(allowed, s.options.allow_destroy or 0):
        return
    ruling = min(policies, key=lambda each: budget(each.max_destroy, len(s.lives)))
    share = f"{ruling.max_destroy} per plan{_as_before(ruling is not policies[0])}"
    yield Finding(
        path=("policy", "max_destroy"),
        instead=next((c.origin for c in changes if c.subject in lost and c.origin), ("services",)),
        code="budget",
        text=f"this plan destroys {len(lost)} of {len(s.lives)} instances, and {allowed} may be ({share})",
        detail=f"it would take down {listed(lost)}",
        hint=f"if that is what you want: -allow-destroy {len(lost)}",
    )


def _as_before(remembered: bool) -> str:
    """Why what stands in the file does not count."""
    return ", as last applied: a looser policy counts from the next apply on" if remembered else ""


def budget(share: Share, live: int) -> int:
    """How many may be destroyed: rounded up, at least 1, unless it says none."""
    return max(1, share.of(live, up=True)) if share.number else 0


def _changes(s: Situation, changes: Sequence[Change], policies: Sequence[Policy]) -> Iterator[Finding]:
    count = sum(c.action in _CHANGES and bool(c.old or c.new) for c in changes)
    total = max(len(s.lives), len(s.wished))
    bounds = [(p.max_changes.of(total, up=True), n) for n, p in enumerate(policies) if p.max_changes]
    if bounds and count > max(min(bounds)[0], s.options.allow_changes or 0):
        bound, ruling = min(bounds)
        yield Finding(
            path=("policy", "max_changes"),
            code="too-many-changes",
            text=f"this plan changes {count} instances, and policy allows {bound} in one plan{_as_before(ruling > 0)}",
            hint=f"if that is what you want: -allow-changes {count}; or apply it in parts with -target",
        )


def _demands(s: Situation, policies: Sequence[Policy], revision: Revision) -> Iterator[Finding]:
    if any(policy.require_clean_tree for policy in policies) and not revision.clean:
        yield Finding(
            path=("policy", "require_clean_tree"),
            code="unclean-tree",
            text="policy wants what is applied to be committed, and the fleet files differ from every commit",
            hint="commit the changes, then plan again",
        )
    if any(policy.require_health for policy in policies) and not s.options.destroy:
        yield from _unchecked(s)


def _unchecked(s: Situation) -> Iterator[Finding]:
    """Every service without a check, and not only who is started: to take a check away touches no guest."""
    for name, service in sorted(s.fleet.services.items()):
        if not service.health and service.kind != "job":
            yield Finding(
                path=("services", name),
                related=(("policy", "require_health"),),
                code="no-health-check",
                text=f"policy wants every service to have a health check, and {name} has none",
                hint=f"give {name} a `health:`",
            )
