"""Orders services by their `needs`, and finds the fewest needs that imply the rest. Pure."""

from collections.abc import Container, Mapping

from unictl.fleet.model import Fleet, Service


def order_by_needs(fleet: Fleet, after: Mapping[str, Container[str]] = {}) -> tuple[str, ...]:
    """All services, those that are needed first; by name where nothing says more.

    ``after``: service -> others that it had better come after. Where needs bar that, they alone count.
    """
    order = _depth_first_order(fleet, after)
    index_by_name = {name: index for index, name in enumerate(order)}
    needs = (
        (index_by_name[need], index_by_name[name])
        for name, service in fleet.services.items()
        for need in service.needs
        if need in index_by_name
    )
    return order if not after or all(need < own_index for need, own_index in needs) else _depth_first_order(fleet, {})


def _depth_first_order(fleet: Fleet, after: Mapping[str, Container[str]]) -> tuple[str, ...]:
    order: dict[str, None] = {}
    entered: set[str] = set()
    for name in sorted(fleet.services):
        stack = [(name, False)]
        while stack:
            current, ready = stack.pop()
            if ready:
                order[current] = None
            elif current not in entered:
                entered.add(current)
                predecessors = after.get(current, ())
                needs = [
                    candidate
                    for candidate in fleet.services
                    if candidate in fleet.services[current].needs or candidate in predecessors
                ]
                stack += [(current, True), *((need, False) for need in sorted(needs, reverse=True))]
    return tuple(order)


def direct_needs(fleet: Fleet, service: Service, planned: Container[str]) -> tuple[str, ...]:
    """The services in ``planned`` that it has to wait for itself: none that another of them waits for anyway."""
    needs = {need for need in service.needs if need in planned}
    implied = {transitive for need in needs for transitive in _transitive_needs(fleet, need, planned)}
    return tuple(sorted(needs - implied))


def _transitive_needs(fleet: Fleet, name: str, planned: Container[str]) -> set[str]:
    """What ``name`` waits for itself, directly or through others that are made."""
    reachable: set[str] = set()
    stack = [name]
    while stack:
        for need in fleet.services[stack.pop()].needs:
            if need in planned and need not in reachable:
                reachable.add(need)
                stack.append(need)
    return reachable
