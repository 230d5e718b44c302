"""The cases: each function makes a world and returns the plan made in it; its name is the sentence of the case."""

from collections.abc import Callable
from dataclasses import replace

from tests.plan.builders import (
    HTTP,
    change,
    empty,
    endpoints,
    fleet,
    host,
    plan,
    published,
    service,
    silent,
    survey,
    without,
)
from tests.plan.simulator import Simulator
from tests.plan.worlds import applied
from unictl.fleet.model import MIB, Fleet, Policy, Port, Probe, Update, Volume
from unictl.fleet.quantities import Share
from unictl.instances.observed.host_state import Claim
from unictl.instances.observed.survey_facts import OtherStore
from unictl.plan.model.plan import Plan
from unictl.plan.model.step import StepKind

CASES: dict[str, Callable[[], Plan]] = {}


def case(made: Callable[[], Plan]) -> Callable[[], Plan]:
    CASES[made.__name__] = made
    return made


def hello() -> Fleet:
    return fleet(
        service("counter", volumes={"data": "counter"}),
        service(
            "front",
            "--counter=${service.counter.http}",
            replicas=3,
            needs=("counter",),
            publish=published(8080),
        ),
    )


def hello_again() -> Plan:
    """The plan of a changed hello."""
    one = hello()
    return plan(change(one, "front", args=("--again",)), applied(one).world())


def two_hosts(**given: object) -> Fleet:
    return fleet(service("api", replicas=4, **given), hosts=2)


def killed(before: Fleet, after: Fleet, last: str, *, torn: str = "") -> Simulator:
    """The world after an apply of ``after`` that was killed once the step ``last`` was done, amid ``torn``."""
    sim = applied(before)
    made = plan(after, sim.world(), allow_destroy=9)
    names = [step.id.partition(".")[0] for step in made.steps]
    composed = {where: dict(rows) for where, rows in made.membership.items()}
    for step in made.steps[: names.index(last) + 1]:
        sim.step(made, step, composed)
    if torn:
        sim._half(made.steps[names.index(torn)])
    return sim


@case
def first_plan_creates_everything_in_the_order_of_needs() -> Plan:
    one = hello()
    return plan(one, empty(one))


@case
def converged_fleet_keeps_everything() -> Plan:
    one = hello()
    return plan(one, applied(one).world())


@case
def changed_args_replace_create_first_one_by_one() -> Plan:
    one = hello()
    return plan(change(one, "front", args=("--greeting=ho",)), applied(one).world())


@case
def changed_image_of_a_volume_holder_replaces_stop_first() -> Plan:
    one = hello()
    return plan(change(one, "counter", memory=128 * MIB), applied(one).world())


@case
def several_changed_fields_are_a_changed_config() -> Plan:
    one = two_hosts()
    return plan(
        change(one, "api", args=("--x",), memory=96 * MIB, update=Update(max_parallel=Share(number=4))),
        applied(one).world(),
    )


@case
def changed_image_is_named_by_digest() -> Plan:
    one = two_hosts(update=Update(max_parallel=Share(number=50, percent=True)))
    return plan(one, applied(one).world(), versions={"app": "2"})


@case
def canary_goes_before_the_rest() -> Plan:
    one = two_hosts(update=Update(max_parallel=Share(number=3), canary=Share(number=1)))
    return plan(change(one, "api", args=("--new",)), applied(one).world())


@case
def scaling_up_creates_before_it_replaces() -> Plan:
    one = two_hosts(update=Update(max_parallel=Share(number=4)))
    return plan(change(one, "api", args=("--new",), replicas=5), applied(one).world())


@case
def scaled_down_within_the_budget() -> Plan:
    one = two_hosts()
    return plan(change(one, "api", replicas=3), applied(one).world())


@case
def scaled_down_beyond_the_budget_is_refused() -> Plan:
    one = two_hosts()
    return plan(change(one, "api", replicas=1), applied(one).world())


@case
def scaled_down_beyond_the_budget_by_a_named_number() -> Plan:
    one = two_hosts()
    return plan(change(one, "api", replicas=1), applied(one).world(), allow_destroy=3)


@case
def budget_last_applied_rules_where_the_new_one_is_looser() -> Plan:
    one = replace(two_hosts(), policy=Policy(max_destroy=Share(number=1)))
    two = replace(change(one, "api", replicas=1), policy=Policy(max_destroy=Share(number=100, percent=True)))
    return plan(two, applied(one).world())


@case
def service_gone_from_the_fleet_goes_after_what_replaces_its_users() -> Plan:
    one = hello()
    two = change(without(one, "counter"), "front", args=(), needs=())
    return plan(two, applied(one).world(), allow_destroy=1)


@case
def protected_instance_is_held_and_the_plan_refused() -> Plan:
    one = change(hello(), "counter", protect=True)
    return plan(change(without(one, "counter"), "front", args=(), needs=()), applied(one).world(), allow_destroy=1)


@case
def protection_is_put_on_by_a_mark() -> Plan:
    one = hello()
    return plan(change(one, "counter", protect=True), applied(one).world())


@case
def destroy_takes_users_before_what_they_need() -> Plan:
    one = hello()
    return plan(one, applied(one).world(), destroy=True)


@case
def destroy_with_a_named_volume_deletes_it() -> Plan:
    one = hello()
    return plan(one, applied(one).world(), destroy=True, allow_volumes=("counter",))


@case
def volume_in_use_is_not_deleted() -> Plan:
    one = hello()
    return plan(one, applied(one).world(), allow_volumes=("counter",))


@case
def crashed_instance_is_made_anew_and_says_how_it_ended() -> Plan:
    one = hello()
    sim = applied(one)
    sim.crash(sim.lives("front-1")[0].key, reason="guest-panic")
    return plan(one, sim.world())


@case
def crashed_holder_of_a_volume_goes_before_its_successor_starts() -> Plan:
    one = hello()
    sim = applied(one)
    sim.crash(sim.lives("counter-0")[0].key)
    return plan(one, sim.world())


@case
def instance_that_its_supervisor_starts_again_is_left_alone() -> Plan:
    one = hello()
    sim = applied(one)
    sim.crash(sim.lives("front-1")[0].key, restarting=True)
    return plan(one, sim.world())


@case
def rebooted_host_starts_the_same_generations_again() -> Plan:
    one = hello()
    sim = applied(one)
    sim.reboot("hv1")
    return plan(one, sim.world())


@case
def begun_launch_goes_on() -> Plan:
    one = hello()
    sim = killed(fleet(), one, "launch:front-0", torn="launch:front-1")
    return plan(one, sim.world())


@case
def unproven_instance_passes_its_gate_again_and_the_old_one_stays_until_then() -> Plan:
    one = hello()
    two = change(one, "front", args=("--new",))
    sim = killed(one, two, "launch:front-0")
    return plan(two, sim.world())


@case
def two_generations_of_one_name_leave_the_wished_one() -> Plan:
    one = hello()
    two = change(one, "front", args=("--new",))
    sim = killed(one, two, "join:hv1:front:1")
    return plan(two, sim.world())


@case
def leaving_instance_is_finished() -> Plan:
    one = two_hosts()
    sim = applied(one)
    sim.put(
        "hv1",
        sim.lives("api-3")[0].key if sim.lives("api-3")[0].host == "hv1" else sim.hosts["hv1"].instances[0].key,
        state="leaving",
    )
    return plan(one, sim.world())


@case
def launch_that_never_was_healthy_is_held_until_retry() -> Plan:
    one = hello()
    sim = applied(one)
    sim.put("hv1", sim.lives("front-2")[0].key, proven=False)
    sim.crash(sim.lives("front-2")[0].key, verdict="configuration")
    return plan(one, sim.world())


@case
def damaged_record_is_replaced_under_a_new_generation() -> Plan:
    one = two_hosts()
    sim = applied(one)
    key = sim.lives("api-2")[0].key
    where = sim.lives("api-2")[0].host
    sim.put(where, key, state="damaged", fingerprint="", launch=0, forwards=(), resolved=None, spec=None)
    return plan(one, sim.world())


@case
def unsupervised_instance_is_adjusted() -> Plan:
    one = two_hosts()
    sim = applied(one)
    live = sim.lives("api-1")[0]
    sim.put(live.host, live.key, state="unsupervised")
    return plan(one, sim.world())


@case
def instance_that_would_not_start_with_its_host_is_adjusted() -> Plan:
    one = two_hosts()
    sim = applied(one)
    live = sim.lives("api-1")[0]
    sim.put(live.host, live.key, at_boot=False)
    return plan(one, sim.world())


@case
def damaged_image_that_somebody_runs_from_is_brought_anew() -> Plan:
    one = two_hosts()
    sim = applied(one)
    live = sim.lives("api-1")[0]
    said = sim.hosts[live.host]
    sim.hosts[live.host] = replace(said, images=said.images - {*live.images}, damaged=frozenset(live.images))
    return plan(one, sim.world())


@case
def image_that_is_gone_under_those_that_run_from_it_is_brought_anew() -> Plan:
    one = two_hosts()
    sim = applied(one)
    live = sim.lives("api-1")[0]
    said = sim.hosts[live.host]
    sim.hosts[live.host] = replace(said, images=said.images - {*live.images})
    return plan(one, sim.world())


@case
def host_under_a_new_name_is_an_adjust() -> Plan:
    one = two_hosts()
    sim = applied(one)
    other = {"hvA" if name == "hv1" else name: host for name, host in one.hosts.items()}
    other = {name.lower(): replace(host, name=name.lower()) for name, host in other.items()}
    world = {"hva" if name == "hv1" else name: said for name, said in sim.world().items()}
    lives = replace(world["hva"], host="hva", instances=tuple(replace(i, host="hva") for i in world["hva"].instances))
    return plan(replace(one, hosts=other), {**world, "hva": lives})


@case
def host_of_another_id_is_refused_while_the_old_one_may_still_run() -> Plan:
    one = two_hosts()
    sim = applied(one)
    sim.hosts["hv1"] = replace(sim.hosts["hv1"], host_id="f" * 32, instances=(), policy=None, hosts=None)
    return plan(one, sim.world())


@case
def other_store_of_the_same_machine_is_refused() -> Plan:
    one = two_hosts()
    sim = applied(one)
    fresh = replace(sim.hosts["hv1"], host_id="f" * 32, instances=(), policy=None, hosts=None, root="/home/ops/unictl")
    sim.hosts = {"hv1": replace(fresh, other_stores=(OtherStore(root="/var/lib/unictl", id="a" * 32),))}
    return plan(replace(one, hosts={"hv1": one.hosts["hv1"]}), sim.world())


@case
def other_store_is_the_one_refusal_though_what_it_holds_is_in_the_way() -> Plan:
    one = fleet(service("api", publish=published(80)), service("web", publish=published(81)), hosts=2)
    sim = applied(one)
    held = tuple(
        Claim(kind="port", owner="", holder="", port=port, bind="0.0.0.0")
        for port in (80, 81, *endpoints(one).values())
    )
    fresh = replace(survey("hv1", host_id="f" * 32, root="/home/ops/unictl"), claims=held)
    store = OtherStore(root="/var/lib/unictl", id=sim.hosts["hv1"].host_id)
    sim.hosts["hv1"] = replace(fresh, other_stores=(store,))
    return plan(one, sim.world())


@case
def dead_ingress_is_adjusted() -> Plan:
    one = two_hosts()
    sim = applied(one)
    sim.hosts["hv2"] = replace(sim.hosts["hv2"], ingress={"state": "dead", "hash": ""})
    return plan(one, sim.world())


@case
def changed_check_is_an_adjust_of_the_ingress() -> Plan:
    one = two_hosts()
    return plan(change(one, "api", health=(Probe(kind="http", path="/ready", port="http"),)), applied(one).world())


@case
def host_that_loses_its_ingress_stops_it() -> Plan:
    one = two_hosts()
    two = replace(one, hosts={**one.hosts, "hv2": replace(one.hosts["hv2"], ingress=False)})
    return plan(two, applied(one).world())


@case
def silent_host_makes_what_nobody_shows_unknown() -> Plan:
    one = two_hosts()
    sim = applied(one)
    sim.deaf = frozenset(["hv2"])
    return plan(change(one, "api", replicas=6), sim.world())


@case
def old_one_is_held_while_a_silent_ingress_may_route_to_it() -> Plan:
    one = fleet(service("api", replicas=2), hosts=[host("hv1"), host("hv2")])
    sim = applied(one)
    for live in list(sim.hosts["hv2"].instances):
        sim.hosts["hv2"] = replace(sim.hosts["hv2"], instances=())
        sim.hosts["hv1"] = replace(sim.hosts["hv1"], instances=(*sim.hosts["hv1"].instances, replace(live, host="hv1")))
    sim.deaf = frozenset(["hv2"])
    return plan(change(one, "api", args=("--new",)), sim.world())


@case
def host_marked_lost_gives_its_instances_to_others() -> Plan:
    one = two_hosts()
    sim = applied(one)
    two = replace(one, hosts={**one.hosts, "hv2": replace(one.hosts["hv2"], lost=True)})
    sim.deaf = frozenset(["hv2"])
    return plan(two, sim.world())


@case
def volume_on_a_lost_host_holds_its_instance() -> Plan:
    one = fleet(service("db", volumes={"data": "orders"}), hosts=2)
    sim = applied(one)
    where = next(name for name, said in sim.hosts.items() if said.volumes)
    sim.deaf = frozenset([where])
    return plan(replace(one, hosts={**one.hosts, where: replace(one.hosts[where], lost=True)}), sim.world())


@case
def volume_whose_loss_is_accepted_begins_anew() -> Plan:
    one = fleet(service("db", volumes={"data": "orders"}), hosts=2)
    sim = applied(one)
    where = next(name for name, said in sim.hosts.items() if said.volumes)
    sim.deaf = frozenset([where])
    lost = replace(one, hosts={**one.hosts, where: replace(one.hosts[where], lost=True)})
    accepted = {"orders": Volume(name="orders", size=1 << 30, accept_loss=True)}
    return plan(replace(lost, volumes=accepted), sim.world())


@case
def drained_host_is_emptied_by_moves() -> Plan:
    one = two_hosts()
    return plan(replace(one, hosts={**one.hosts, "hv2": replace(one.hosts["hv2"], drain=True)}), applied(one).world())


@case
def volume_holds_its_instance_on_a_drained_host() -> Plan:
    one = fleet(service("db", volumes={"data": "orders"}), hosts=2)
    sim = applied(one)
    where = next(name for name, said in sim.hosts.items() if said.volumes)
    return plan(replace(one, hosts={**one.hosts, where: replace(one.hosts[where], drain=True)}), sim.world())


@case
def host_gone_from_the_file_is_refused() -> Plan:
    one = two_hosts()
    sim = applied(one)
    two = replace(one, hosts={"hv1": one.hosts["hv1"]})
    return plan(two, {"hv1": sim.hosts["hv1"]})


@case
def one_machine_under_two_names_is_refused() -> Plan:
    one = two_hosts()
    world = empty(one)
    world["hv2"] = replace(world["hv2"], host_id=world["hv1"].host_id)  # type: ignore[type-var, union-attr]
    return plan(one, world)


@case
def two_machines_of_one_host_id_are_told_as_clones() -> Plan:
    one = two_hosts()
    world = empty(one)
    world["hv2"] = survey("hv2", host_id=survey("hv1").host_id, boot_id="another", root="/srv/unictl")
    return plan(one, world)


@case
def namesake_is_refused() -> Plan:
    one = two_hosts()
    return plan(one, empty(one, namesakes=("shop-abcdef",)))


@case
def published_port_of_another_fleet_is_refused_and_named() -> Plan:
    one = hello()
    claim = Claim(kind="port", owner="blog-77aa", holder="web-0.12345678", port=8080, bind="0.0.0.0")
    return plan(one, empty(one, claims=(claim,)))


@case
def published_port_of_another_program_is_refused() -> Plan:
    one = hello()
    return plan(one, empty(one, claims=(Claim(kind="port", owner="", holder="", port=8080, bind="::"),)))


@case
def several_ports_that_one_program_holds_are_one_refusal_a_host() -> Plan:
    one = fleet(service("api", publish=published(80)), service("web", publish=published(81)), hosts=2)
    held = tuple(
        Claim(kind="port", owner="", holder="", port=port, bind="0.0.0.0")
        for port in (80, 81, *endpoints(one).values())
    )
    other = Claim(kind="port", owner="blog-77aa", holder="web-0.12345678", port=81, bind="0.0.0.0")
    return plan(one, {"hv1": survey("hv1", claims=held), "hv2": survey("hv2", claims=(other,))})


@case
def host_without_room_is_refused_by_dimension() -> Plan:
    one = fleet(service("api", memory=4096 * MIB, replicas=2))
    return plan(one, empty(one, memory=6 << 30))


@case
def stop_first_rollout_without_slack_is_a_dead_lock() -> Plan:
    one = fleet(
        service("db", volumes={"data": "orders"}, replicas=2, update=Update(min_available=Share(number=2))),
    )
    return plan(change(one, "db", args=("--new",)), applied(one).world())


@case
def renamed_service_takes_its_instances_over() -> Plan:
    one = hello()
    renamed = replace(one.services["front"], name="web", was="front")
    two = replace(without(one, "front"), services={"counter": one.services["counter"], "web": renamed})
    return plan(two, applied(one).world(), allow_destroy=9)


@case
def moved_endpoint_replaces_who_was_told() -> Plan:
    from tests.plan.builders import REVISION, endpoints, facts
    from unictl.plan.planner import build

    one = hello()
    numbers = {**endpoints(one), "counter.http": 29_999}
    return build(one, facts(one), numbers, applied(one).world(), revision=REVISION)


@case
def second_host_replaces_what_listens_on_loopback_only() -> Plan:
    one = hello()
    two = replace(one, hosts={"hv1": one.hosts["hv1"], "hv2": host("hv2")})
    return plan(two, {**empty(two), "hv1": applied(one).hosts["hv1"]})


@case
def requested_replacement_is_a_new_launch() -> Plan:
    one = hello()
    return plan(one, applied(one).world(), replace=("front-1",))


@case
def target_leaves_the_rest_alone_and_brings_what_it_needs() -> Plan:
    one = hello()
    return plan(one, empty(one), target="front-0")


@case
def target_of_a_changed_fleet_changes_only_that() -> Plan:
    one = hello()
    two = change(change(one, "front", args=("--new",)), "counter", memory=128 * MIB)
    return plan(two, applied(one).world(), target="front-1")


@case
def policy_that_changed_is_remembered() -> Plan:
    one = two_hosts()
    return plan(replace(one, policy=Policy(max_destroy=Share(number=2))), applied(one).world())


@case
def job_ends_and_is_kept() -> Plan:
    one = fleet(service("migrate", kind="job", ports=(), health=()))
    sim = applied(one)
    key = sim.lives("migrate-0")[0].key
    sim.crash(key, verdict="clean", code=0)
    return plan(one, sim.world())


@case
def job_that_failed_runs_again() -> Plan:
    one = fleet(service("migrate", kind="job", ports=(), health=()), service("api", needs=("migrate",)))
    sim = applied(one)
    sim.crash(sim.lives("migrate-0")[0].key, verdict="failure")
    return plan(one, sim.world())


@case
def host_without_haproxy_is_refused_where_the_fleet_needs_it() -> Plan:
    from unictl.instances.observed.host_state import MissingCapability

    one = hello()
    lacks = (MissingCapability(code="no-haproxy", text="there is no HAProxy, so it cannot run the ingress"),)
    return plan(one, empty(one, missing_capabilities=lacks))


@case
def port_that_the_users_of_hosts_may_not_take_is_refused_at_its_key() -> Plan:
    from unictl.instances.observed.host_state import MissingCapability

    one = fleet(service("api", replicas=2, publish=published(80)), hosts=3)
    lacks = (MissingCapability(code="low-ports", text="its user may listen on ports from 1024 up only", below=1024),)
    return plan(one, {**empty(one, missing_capabilities=lacks), "hv2": survey("hv2")})


@case
def several_ports_share_the_check_of_one() -> Plan:
    one = fleet(service("db", ports=(Port(name="http", number=80), Port(name="sql", number=5432)), health=HTTP))
    return plan(one, empty(one))


@case
def interrupted_destroy_goes_on() -> Plan:
    one = hello()
    sim = applied(one)
    made = plan(one, sim.world(), destroy=True)
    retires = [step for step in made.steps if step.kind is StepKind.RETIRE]
    sim._half(retires[0])
    return plan(one, sim.world(), destroy=True)


@case
def destroy_with_a_silent_host_leaves_who_is_held_and_every_ingress() -> Plan:
    one = fleet(service("api", replicas=5, publish=published(8080)), hosts=3)
    return plan(one, silent(applied(one).world(), "hv3"), destroy=True)


@case
def destroy_with_a_silent_host_that_had_nothing_takes_down_the_rest() -> Plan:
    hosts = [host("hv1"), host("hv2"), host("hv3", ingress=False)]
    one = fleet(service("api", replicas=2, publish=published(8080)), hosts=hosts)
    return plan(one, silent(applied(one).world(), "hv3"), destroy=True)


@case
def destroy_leaves_the_host_of_a_protected_instance_and_every_ingress() -> Plan:
    one = fleet(service("api", replicas=1, protect=True), service("web", replicas=3), hosts=2)
    return plan(one, applied(one).world(), destroy=True)


@case
def added_host_moves_nothing() -> Plan:
    one = two_hosts()
    two = replace(one, hosts={**one.hosts, "hv3": host("hv3")})
    return plan(two, {**empty(two), **applied(one).world()})


@case
def rebalancing_moves_what_evens_out() -> Plan:
    one = fleet(service("api", replicas=6), hosts=2)
    two = replace(one, hosts={**one.hosts, "hv3": host("hv3")})
    return plan(two, {**empty(two), **applied(one).world()}, rebalance=True)


@case
def emptied_fleet_is_refused_until_the_number_is_named() -> Plan:
    one = two_hosts()
    return plan(
        replace(one, services={}, policy=Policy(max_destroy=Share(number=100, percent=True))), applied(one).world()
    )


@case
def last_user_of_a_volume_is_not_destroyed_by_the_budget_alone() -> Plan:
    one = hello()
    return plan(change(without(one, "counter"), "front", args=(), needs=()), applied(one).world())


def _marked(one: Fleet, name: str, **given: bool) -> Fleet:
    return replace(one, hosts={**one.hosts, name: replace(one.hosts[name], **given)})


def returned(one: Fleet, name: str) -> Simulator:
    """The world after ``name`` was declared lost and done without, and is back as it was."""
    sim = applied(one)
    was = sim.hosts[name], sim.ingress.pop(name)
    sim.hosts[name] = survey(name)
    sim.deaf = frozenset([name])
    assert sim.run(plan(_marked(one, name, lost=True), sim.world()))
    sim.hosts[name], sim.ingress[name] = was
    sim.deaf = frozenset()
    return sim


@case
def host_marked_lost_that_answers_is_refused_with_what_runs_twice() -> Plan:
    one = fleet(service("api", replicas=4), service("db", volumes={"data": "orders"}), hosts=2)
    one = replace(one, volumes={"orders": replace(one.volumes["orders"], accept_loss=True)})
    where = next(name for name, said in applied(one).hosts.items() if said.volumes)
    return plan(_marked(one, where, lost=True), returned(one, where).world())


@case
def host_marked_lost_that_is_back_empty_is_told_and_left_alone() -> Plan:
    one = two_hosts()
    sim = returned(one, "hv2")
    sim.hosts["hv2"] = replace(sim.hosts["hv2"], instances=())
    return plan(_marked(one, "hv2", lost=True), sim.world())


@case
def what_runs_twice_goes_where_its_host_is_drained() -> Plan:
    one = two_hosts()
    return plan(_marked(one, "hv2", drain=True), returned(one, "hv2").world())


@case
def volume_that_two_hosts_have_waits_for_the_one_to_go_on_with() -> Plan:
    one = fleet(service("db", volumes={"data": "orders"}), hosts=2)
    one = replace(one, volumes={"orders": replace(one.volumes["orders"], accept_loss=True)})
    where = next(name for name, said in applied(one).hosts.items() if said.volumes)
    return plan(one, returned(one, where).world())


@case
def volume_that_two_hosts_have_is_used_where_its_host_is_named() -> Plan:
    one = fleet(service("db", volumes={"data": "orders"}), hosts=2)
    one = replace(one, volumes={"orders": replace(one.volumes["orders"], accept_loss=True)})
    where = next(name for name, said in applied(one).hosts.items() if said.volumes)
    other = next(name for name in one.hosts if name != where)
    chosen = replace(one, volumes={"orders": replace(one.volumes["orders"], host=other)})
    return plan(chosen, returned(one, where).world())
