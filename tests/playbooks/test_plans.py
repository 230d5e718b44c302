"""The playbooks as a user begins with them: valid, their own tests hold, and their first plans as golden files.

They use keys whose machinery may not be there yet: ``plan`` names each with its place, and the golden plan is made by
the planner itself, against hosts in memory, with their networks as user networks. ``--accept`` rewrites.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.plan.builders import REVISION, empty
from tests.plan.simulator import simulate
from unictl.cli.main import main
from unictl.fleet.model import Fleet
from unictl.guests.image_facts import ImageFacts
from unictl.images.file_facts import read_tree_facts
from unictl.instances.launch.preflight import check_features, check_launches
from unictl.operations.planning import fleet_files
from unictl.operations.request import FleetRequest
from unictl.operations.setup import init
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.plan import Plan
from unictl.plan.planner import build
from unictl.revisions.working_tree import WorkingTree
from unictl.views.text import layout, plan_text

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
CASES = Path(__file__).parent / "plans"
FLEETS = {
    "hello": ("hello", ""),
    "shop": ("shop", "production"),
    "shop-staging": ("shop", "staging"),
    "edge": ("edge", ""),
    "metrics": ("edge/metrics", ""),
}
Facts = Mapping[str, Mapping[str, ImageFacts]]


def ran(*argv: str) -> tuple[int, str]:
    out = io.StringIO()
    return main(list(argv), {"CI": ""}, io.StringIO(), out, out), out.getvalue()


def words(name: str) -> tuple[str, ...]:
    path, environment = FLEETS[name]
    return (str(PLAYBOOKS / path), *(("-env", environment) if environment else ()))


def loaded(name: str) -> Fleet:
    path, environment = FLEETS[name]
    found = fleet_files.read_files(FleetRequest(path=PLAYBOOKS / path, environment=environment))
    assert found.loaded.fleet is not None, found.loaded.problems
    return found.loaded.fleet


def facts(fleet: Fleet, name: str) -> Facts:
    tree = WorkingTree(PLAYBOOKS / FLEETS[name][0])
    return {
        n: {"kernel": read_tree_facts(tree, image.kernel.path)} for n, image in fleet.images.items() if image.kernel
    }


def runnable(fleet: Fleet) -> Fleet:
    """The fleet on user networks: what its instances are and where they stand is the same."""
    networks = {n: replace(each, mode="user", subnet="10.0.2.0/24", vni=None) for n, each in fleet.networks.items()}
    return replace(fleet, networks=networks)


def numbered(fleet: Fleet) -> dict[str, int]:
    ports = sorted(f"{name}.{port.name}" for name, each in fleet.services.items() for port in each.ports)
    return {port: 20_000 + n for n, port in enumerate(ports)}


def planned(fleet: Fleet, known: Facts, world: Mapping[str, object] | None = None) -> Plan:
    there = world if world is not None else empty(fleet)
    made = build(fleet, known, numbered(fleet), there, revision=REVISION, options=PlanOptions())  # type: ignore[arg-type]
    return replace(made, refusals=tuple(each for each in made.refusals if each.code != "not-supported"))


def golden(name: str, found: str, request: pytest.FixtureRequest) -> None:
    path = CASES / name
    if request.config.getoption("--accept"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert path.read_text() == found


@pytest.mark.parametrize("name", FLEETS)
def test_the_first_plan_is_the_golden_one(name: str, request: pytest.FixtureRequest) -> None:
    fleet = runnable(loaded(name))
    made = planned(fleet, facts(fleet, name))
    assert made.can_apply, made.refusals
    golden(f"{name}.txt", layout.join_lines(plan_text.render(made, 80)), request)


def test_another_image_of_every_service_of_the_shop_is_a_plan_to_read(request: pytest.FixtureRequest) -> None:
    fleet = runnable(loaded("shop"))
    known = facts(fleet, "shop")
    sim = simulate(empty(fleet))
    assert sim.run(planned(fleet, known, sim.world()))
    other = {"kernel": replace(known["service"]["kernel"], sha256="ab" * 32)}
    made = planned(fleet, {**known, "service": other}, sim.world())
    assert made.can_apply, made.refusals
    golden("shop-image.txt", layout.join_lines(plan_text.render(made, 80)), request)


@pytest.mark.parametrize("name", FLEETS)
def test_a_playbook_is_valid_and_its_own_tests_hold(name: str) -> None:
    assert ran("validate", *words(name))[0] == 0
    code, said = ran("test", *words(name))
    assert code == 0, said
    fleet = loaded(name)
    assert check_launches(runnable(fleet), facts(fleet, name)) == ()


@pytest.mark.parametrize("name", FLEETS)
def test_a_playbook_is_shown_and_questioned_without_a_host(name: str) -> None:
    fleet = loaded(name)
    assert json.loads(ran("show", *words(name), "-json")[1])["name"] == fleet.name
    for host in fleet.hosts:
        code, said = ran("whatif", *words(name), "-assume", "-lose", host)
        assert code == 0 and said.startswith(f"What if {host} is lost?")


@pytest.mark.parametrize("name", FLEETS)
def test_what_a_playbook_asks_for_too_early_is_answered_with_its_place(name: str, tmp_path: Path) -> None:
    missing = check_features(loaded(name))
    if not missing:
        return
    init.init_fleet(tmp_path, FLEETS[name][0].partition("/")[0])
    path = tmp_path / FLEETS[name][0].partition("/")[2]
    code, said = ran("plan", str(path), *words(name)[1:])
    assert code == 3 and all(f"error: {each.summary}\n" in said for each in missing)


def test_the_shop_is_what_the_language_says_it_is() -> None:
    fleet = loaded("shop")
    assert len(fleet.hosts) == 5 and len({host.zone for host in fleet.hosts.values()}) == 3
    assert 28 <= len(fleet.services) <= 35 and all(each.owners for each in fleet.services.values())
    assert sum(host.ingress for host in fleet.hosts.values()) == 2
    names = [each.sni for service in fleet.services.values() for each in service.publish if each.port == 443]
    assert len(set(names)) == 2 and [s.name for s in fleet.services.values() if s.kind == "job"] == ["migrate"]
    assert not set(loaded("shop-staging").hosts) & set(fleet.hosts)


def test_the_edge_is_two_fleets_on_the_same_hosts() -> None:
    edge, metrics = loaded("edge"), loaded("metrics")
    assert {h.connect for h in edge.hosts.values()} == {h.connect for h in metrics.hosts.values()}
    assert {name for name, each in edge.services.items() if each.activation} == {"resize-small", "resize-large"}
    assert any(port.udp for each in edge.services.values() for port in each.ports)
    published = [{p.port for each in one.services.values() for p in each.publish} for one in (edge, metrics)]
    assert not published[0] & published[1]


@pytest.mark.parametrize("playbook", ["hello", "shop", "edge"])
def test_a_fleet_begun_from_a_playbook_is_whole_and_has_an_id_of_its_own(playbook: str, tmp_path: Path) -> None:
    written = init.init_fleet(tmp_path, playbook)
    assert "fleet.yaml" in written and not any(name.startswith(("src", "try")) for name in written)
    assert all(
        (tmp_path / name).read_bytes() == (PLAYBOOKS / playbook / name).read_bytes() or name.endswith("fleet.yaml")
        for name in written
    )
    assert (tmp_path / "fleet.yaml").read_text() != (PLAYBOOKS / playbook / "fleet.yaml").read_text()
    assert ran("validate", str(tmp_path))[0] == 0


def test_every_playbook_boots_the_same_small_guest() -> None:
    kernels = {path.read_bytes() for path in PLAYBOOKS.rglob("*.elf")}
    assert len(kernels) == 1


def test_every_playbook_carries_the_same_unikernel() -> None:
    copies = {path.read_bytes() for path in PLAYBOOKS.rglob("hello.elf")}
    assert len(copies) == 1
