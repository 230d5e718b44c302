"""Orders services by their `needs`, and finds the fewest needs that imply the rest. Pure."""

from collections.abc import Container, Mapping

from unictl.fleet.model import Fleet, Service


def by_needs(fleet: Fleet, after: Mapping[str, Container[str]] = {}) -> tuple[str, ...]:
    """All services, those that are needed first; by name where nothing says more.

    ``after``: service -> others that it had better come after. Where needs bar that, they alone count.
    """
    order = _ordered(fleet, after)
    place = {name: n for n, name in enumerate(order)}
    needs = (
        (place[need], place[name]) for name, each in fleet.services.items() for need in each.needs if need in place
    )
    return order if not after or all(need < own for need, own in needs) else _ordered(fleet, {})


def _ordered(fleet: Fleet, after: Mapping[str, Container[str]]) -> tuple[str, ...]:
    order: dict[str, None] = {}
    entered: set[str] = set()
    for name in sorted(fleet.services):
        ahead = [(name, False)]
        while ahead:
            each, ready = ahead.pop()
            if ready:
                order[each] = None
            elif each not in entered:
                entered.add(each)
                late = after.get(each, ())
                needs = [one for one in fleet.services if one in fleet.services[each].needs or one in late]
                ahead += [(each, True), *((need, False) for need in sorted(needs, reverse=True))]
    return tuple(order)


def nearest(fleet: Fleet, service: Service, made: Container[str]) -> tuple[str, ...]:
    """The services in ``made`` that it has to wait for itself: none that another of them waits for anyway."""
    needs = {need for need in service.needs if need in made}
    implied = {far for need in needs for far in _far(fleet, need, made)}
    return tuple(sorted(needs - implied))


def _far(fleet: Fleet, name: str, made: Container[str]) -> set[str]:
    """What ``name`` waits for itself, directly or through others that are made."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        for need in fleet.services[ahead.pop()].needs:
            if need in made and need not in found:
                found.add(need)
                ahead.append(need)
    return found
