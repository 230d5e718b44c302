"""The rollout of a plan in a few lines: lowest free memory, and the rollback of a failed wave. Pure."""

from collections import defaultdict
from collections.abc import Sequence

from unictl.fleet.names import InstanceKey
from unictl.plan.model.plan import Plan
from unictl.plan.model.plan_host import Headroom
from unictl.plan.model.rollback import RollbackInstance
from unictl.plan.model.wave import WaveRecord
from unictl.views.text.layout import abbreviate, count_of, sanitize, styled_line, wrap
from unictl.views.text.sorting import natural_key
from unictl.views.text.spans import Line
from unictl.views.text.units import byte_size

_MAX_SERVICES = 6
_MAX_TIGHT_HOSTS = 3
"""So many lines say what is free, the tightest first; hosts with at least half free are only counted."""


def rollback_lines(plan: Plan, width: int = 80, *, verbose: bool = False) -> tuple[Line, ...]:
    """What happens to each service of which a wave fails; ``verbose``: of every wave."""
    services = sorted({wave.service for wave in plan.waves}, key=natural_key)
    waves = {name: [wave for wave in plan.waves if wave.service == name] for name in services}
    sentences = [
        (name, sentence) for name, service_waves in waves.items() if (sentence := _rollback_sentence(service_waves))
    ]
    if not sentences:
        return ()
    headline = styled_line("If a wave fails:", "bold")
    if verbose:
        lines = [wave.rollback.summary for name, _ in sentences for wave in waves[name]]
        return (headline, *(line for text in lines for line in wrap(sanitize(text), width, 2)))
    label = min(24, max(len(name) for name, _ in sentences))
    service_lines = [f"{sanitize(name).ljust(label)}  {sanitize(text)}" for name, text in sentences[:_MAX_SERVICES]]
    more_lines = (
        [styled_line(f"  and {len(sentences) - _MAX_SERVICES} more services (-verbose shows them)", "dim")]
        if len(sentences) > _MAX_SERVICES
        else []
    )
    return (headline, *(line for service_line in service_lines for line in wrap(service_line, width, 2)), *more_lines)


def headroom_lines(plan: Plan, width: int = 80, *, verbose: bool = False) -> tuple[Line, ...]:
    """What is free at the tightest moment of the rollout: hosts with as much together, the tightest first."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for host in sorted(plan.headroom, key=lambda host: (_free_share(plan.headroom[host]), natural_key(host))):
        groups[free_memory(plan.headroom[host])].append(host)
    tight = [
        index < _MAX_TIGHT_HOSTS and _free_share(plan.headroom[hosts[0]]) < 0.5
        for index, hosts in enumerate(groups.values())
    ]
    shown = list(groups.items()) if verbose else list(groups.items())[: max(1, sum(tight))]
    lines = [f"{free_text} free on {abbreviate(list(map(sanitize, hosts)))}" for free_text, hosts in shown]
    hidden_count = sum(map(len, groups.values())) - sum(len(hosts) for _, hosts in shown)
    lines += [f"more on {count_of(hidden_count, 'other host')}"] if hidden_count else []
    if len(shown) <= 1:
        return wrap(f"Tightest moment: {'; '.join(lines)}", width) if lines else ()
    return (
        styled_line("Tightest moment:", "bold"),
        *(wrapped_line for line in lines for wrapped_line in wrap(line, width, 2)),
    )


def free_memory(headroom: Headroom) -> str:
    """``12 GiB of 23 GiB``: the memory free on a host at its tightest moment."""
    return f"{byte_size(max(0, headroom.memory))} of {byte_size(headroom.total_memory)}"


def _free_share(headroom: Headroom) -> float:
    return headroom.memory / max(1, headroom.total_memory)


def _rollback_sentence(waves: Sequence[WaveRecord]) -> str:
    """``goes back to what runs now (generation 13954e66, commit d001e0d2)``, and what does not; empty for a service
    that only grows or stays what it is."""
    rollbacks = [wave.rollback for wave in waves]
    reverted = [instance for rollback in rollbacks for instance in rollback.reverted]
    irreversible = {name: reason for rollback in rollbacks for name, reason in rollback.irreversible.items()}
    parts = []
    if reverted and all(rollback.reverts_after_later_failure for rollback in rollbacks):
        parts.append(f"goes back to what runs now ({_generations_phrase(reverted)})")
    elif reverted:
        parts.append("its new ones go; waves that are done stay (auto_revert is false)")
    if irreversible:
        name, reason = min(irreversible.items(), key=lambda item: natural_key(item[0]))
        verb_phrase = f" and {len(irreversible) - 1} more stay" if len(irreversible) > 1 else " stays"
        parts.append(f"{name}{verb_phrase} new once done: {reason}")
    if any(instance.document["run"]["volumes"] for instance in reverted):
        parts.append("the data in volumes is not turned back")
    return "; ".join(parts)


def _generations_phrase(instances: Sequence[RollbackInstance]) -> str:
    """Which those are, and the commit where they are all of one; a ``+`` says that the files differed from it."""
    names = sorted((instance.old_key for instance in instances), key=natural_key)
    generations = {InstanceKey(name).generation for name in names}
    generation_text = (
        f"generation {generations.pop()}" if len(generations) == 1 else f"{names[0]} and {len(names) - 1} more"
    )
    commits = {str(instance.document.get("commit") or "") for instance in instances}
    commit = commits.pop() if len(commits) == 1 else ""
    return f"{generation_text}, commit {commit[:8]}{'+' if commit.endswith('+') else ''}" if commit else generation_text
