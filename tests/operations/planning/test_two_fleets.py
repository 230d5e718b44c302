"""Two fleets share a host: the second is told what the first holds, also where both are applied at one moment."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.operations.fleets import Ran, TryFleet

pytestmark = pytest.mark.real


@pytest.fixture
def second(fleet: TryFleet, tmp_path: Path) -> Iterator[TryFleet]:
    """Another fleet in the same store."""
    made = TryFleet(tmp_path)
    made.edit(str(made.root), str(fleet.root))
    made.edit("name: hello", "name: other")
    yield made
    destroyed = made.run("destroy", "-auto-approve")
    assert destroyed.code == 0, destroyed.out


def test_a_published_port_of_another_fleet_is_refused_by_the_plan_and_its_holder_named(
    fleet: TryFleet, second: TryFleet
) -> None:
    second.edit(rf"\{{{second.port}: http\}}", f"{{{fleet.port}: http}}")
    assert fleet.apply().code == 0
    planned = second.plan()
    assert planned.code == 6, planned.out
    assert f"port {fleet.port}, which" in said(planned)
    assert "of fleet hello-" in said(planned)


def test_two_applies_at_one_moment_end_as_declared_or_say_what_the_other_has(fleet: TryFleet, second: TryFleet) -> None:
    """Both want the same endpoints: at most one can have each, whoever comes first."""
    same = next(line for line in fleet.yaml().splitlines() if "endpoints:" in line)
    second.edit(r"  user: \{endpoints: .*", same)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: each.apply(), (fleet, second)))
    ends = []
    for each, other in ((fleet, "other"), (second, "hello")):
        again = each.apply("-retry")
        assert again.code in (0, 6), said(again)
        assert again.code == 0 or f"of fleet {other}-" in said(again)
        assert each.plan().code == again.code
        ends.append(again.code)
    assert ends != [0, 0]


def said(ran: Ran) -> str:
    """All that was printed, its lines joined."""
    return " ".join((ran.out + ran.err).split())
