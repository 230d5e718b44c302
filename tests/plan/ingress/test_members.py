"""Who answers behind an ingress."""

from tests.plan.builders import HTTP, empty, endpoints, fleet, plan, published, service
from tests.plan.simulator import simulate
from unictl.fleet.model import Port, Probe
from unictl.plan.ingress import members
from unictl.plan.ingress.members import Member, ServiceMembers
from unictl.plan.model.ingress import Listener
from unictl.plan.model.step import StepKind


def _roster(*members: Member, **given: object) -> ServiceMembers:
    one = fleet(service("api", publish=published(80), **given))
    roster = ServiceMembers("api", one.services["api"], endpoints(one))
    for n, each in enumerate(members):
        roster.join(f"hv{n}", each)
    return roster


def _listeners(roster: ServiceMembers) -> list[Listener]:
    return list(roster.listeners())


A = Member(key="api-0.aa", ports={"http": ("10.0.0.1", 10_001), "sql": ("10.0.0.1", 10_002)})
B = Member(key="api-1.bb", ports={"http": ("10.0.0.2", 10_003)})


def test_a_service_listens_on_its_endpoint_and_on_what_it_publishes_even_with_nobody_there() -> None:
    found = _listeners(_roster())
    assert [(each.bind, each.servers) for each in found] == [("127.0.0.1", ()), ("*", ())]
    assert found[1].port == 80


def test_members_are_in_the_order_of_their_keys_however_they_came() -> None:
    assert _roster(A, B).listeners() == _roster(B, A).listeners()
    assert [server.name for server in _listeners(_roster(B, A))[0].servers] == ["api-0.aa", "api-1.bb"]


def test_who_leaves_is_gone_and_leaving_twice_is_no_matter() -> None:
    roster = _roster(A, B)
    roster.leave("hv0", "api-0.aa")
    roster.leave("hv0", "api-0.aa")
    assert [server.name for server in _listeners(roster)[0].servers] == ["api-1.bb"]


def test_the_port_that_the_check_asks_speaks_http_and_the_others_are_asked_there() -> None:
    ports = (Port(name="http", number=80), Port(name="sql", number=5432))
    found = {each.name: each for each in _listeners(_roster(A, ports=ports, health=HTTP))}
    assert found["api.http"].mode == "http"
    assert found["api.sql"].mode == "tcp"
    assert found["api.sql"].servers[0].check_port == 10_001
    assert found["api.http"].servers[0].check_port == 0


def test_a_console_check_is_none_that_an_ingress_can_repeat() -> None:
    found = _listeners(_roster(A, health=(Probe(kind="console", pattern="ready"),)))
    assert found[0].check is None
    assert found[0].mode == "tcp"


def test_a_job_and_udp_ports_have_no_listeners() -> None:
    assert _listeners(_roster(A, kind="job")) == []
    assert _listeners(_roster(A, ports=(Port(name="dns", number=53, udp=True),))) == []


def test_a_service_that_is_gone_keeps_its_endpoint_while_it_has_instances() -> None:
    roster = ServiceMembers("old", None, {"old.http": 20_001})
    assert roster.listeners() == ()
    roster.join("hv1", A)
    (found,) = _listeners(roster)
    assert (found.name, found.port, found.mode, found.check) == ("old.http", 20_001, "tcp", None)


def test_the_text_of_steps_is_the_text_that_the_survey_shows_afterwards() -> None:
    one = fleet(service("api", replicas=2, publish=published(8080)), service("db"), hosts=2)
    sim = simulate(empty(one))
    made = plan(one, sim.world())
    sim.run(made)
    final = dict(made.membership["hv1"])
    for step in made.steps:
        if step.kind in (StepKind.JOIN, StepKind.LEAVE) and step.host == "hv1":
            final |= step.data.services
    assert sim.hosts["hv1"].ingress["hash"] == members.config_digest(one.owner, final)
    assert sim.hosts["hv1"].ingress == sim.hosts["hv2"].ingress
