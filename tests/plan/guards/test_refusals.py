"""What bars a plan says what, where, and what to do next."""

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.plan import cases
from tests.plan.builders import (
    GIB,
    REVISION,
    change,
    empty,
    endpoints,
    facts,
    fleet,
    host,
    plan,
    published,
    service,
    silent,
    without,
)
from tests.plan.worlds import applied
from unictl.diagnostics.place import Place
from unictl.diagnostics.resolve import PlaceTable
from unictl.fleet.model import Fleet, Placement, Policy, Publication, Volume
from unictl.fleet.quantities import Share
from unictl.instances.observed.host_state import Survey, UnreachableHost
from unictl.plan.guards.budget import destroy_budget
from unictl.plan.ingress import haproxy_config, members
from unictl.plan.model.change import Action
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.plan import Plan
from unictl.plan.model.revision import Revision
from unictl.plan.model.step import Step, StepKind
from unictl.plan.planner import build
from unictl.plan.rollout.builder import StepBuilder
from unictl.views.text import layout, plan_text


def _codes(made: Plan) -> set[str]:
    return {each.code for each in made.refusals}


@pytest.mark.parametrize(
    ("share", "live", "allowed"),
    [
        (Share(number=20, percent=True), 1, 1),
        (Share(number=20, percent=True), 10, 2),
        (Share(number=20, percent=True), 11, 3),
        (Share(number=3), 2, 3),
        (Share(number=0), 10, 0),
        (Share(number=0, percent=True), 10, 0),
    ],
)
def test_the_budget_is_rounded_up_and_at_least_one_unless_it_says_none(share: Share, live: int, allowed: int) -> None:
    assert destroy_budget(share, live) == allowed


def test_every_refusal_has_a_hint_and_a_code() -> None:
    for name in cases.CASES:
        for each in cases.CASES[name]().refusals:
            assert each.code, name
            assert each.summary, name
            assert each.hint or each.code.startswith("no-room"), (name, each)


def test_a_refusal_has_the_place_of_what_caused_it_or_of_what_encloses_it() -> None:
    one = cases.hello()
    place = Place(file="fleet.yaml", line=3, column=1)
    lower = Place(file="fleet.yaml", line=9, column=5)
    made = build(
        replace(without(one, "counter"), policy=Policy(max_destroy=Share(number=0))),
        facts(one),
        endpoints(one),
        applied(change(one, "front", args=())).world(),
        revision=REVISION,
        options=PlanOptions(),
        places=PlaceTable({("policy",): place, ("services", "front"): lower}),
    )
    assert [each.place for each in made.refusals if each.code == "budget"] == [place]


_WRITTEN = (
    ("policy", "max_destroy"),
    ("policy", "require_health"),
    ("services", "api"),
    ("services", "api", "replicas"),
    ("services", "api", "memory"),
    ("services", "api", "protect"),
    ("services", "api", "placement", "hosts"),
    ("hosts", "hv1", "drain"),
)


def _places(
    made: Fleet, world: Mapping[str, Survey | UnreachableHost], *, default: tuple[str, ...] = ()
) -> dict[str, list[str]]:
    """Code of every refusal -> the keys it shows, where all of ``_WRITTEN`` stand in the file but ``default``."""
    paths = [path for path in _WRITTEN if path != default]
    lines = {path: Place(file="fleet.yaml", line=n + 1, column=1) for n, path in enumerate(paths)}
    names = {place: ".".join(path) for path, place in lines.items()}
    plan = build(
        made, facts(made), endpoints(made), world, revision=REVISION, options=PlanOptions(), places=PlaceTable(lines)
    )
    return {
        each.code: [names[place] for place in (each.place, *each.related) if place is not None]
        for each in plan.refusals
    }


def test_a_refusal_shows_the_key_that_decides() -> None:
    one = fleet(service("api", replicas=4))
    fewer, there = change(one, "api", replicas=1), applied(one).world()
    assert _places(fewer, there)["budget"] == ["policy.max_destroy"]
    assert _places(fewer, there, default=("policy", "max_destroy"))["budget"] == ["services.api.replicas"]
    kept = applied(change(one, "api", protect=True)).world()
    assert _places(fewer, kept)["protected"] == ["services.api.protect"]
    large = fleet(service("api", memory=4096 << 20))
    assert _places(large, empty(large, memory=1 << 30))["no-room-memory"] == ["services.api.memory"]
    nowhere = change(one, "api", placement=Placement(hosts="hv9"))
    assert _places(nowhere, empty(one))["no-room-hosts"] == ["services.api.placement.hosts"]
    drained = replace(one, hosts={"hv1": replace(one.hosts["hv1"], drain=True)})
    assert _places(drained, empty(drained))["no-room-drain"] == ["hosts.hv1.drain"]
    bare = replace(change(one, "api", health=()), policy=Policy(require_health=True))
    assert _places(bare, empty(bare))["no-health-check"] == ["services.api", "policy.require_health"]


def test_destroying_all_needs_no_allowance_and_respects_protection() -> None:
    one = change(cases.hello(), "counter", protect=True)
    made = plan(one, applied(one).world(), destroy=True)
    assert _codes(made) == {"protected"}
    assert plan(cases.hello(), applied(cases.hello()).world(), destroy=True).can_apply


def test_destroying_some_keeps_to_the_budget() -> None:
    one = cases.hello()
    made = plan(one, applied(one).world(), destroy=True, target="front")
    assert _codes(made) == {"budget"}
    assert {step.data.key.partition("-")[0] for step in made.steps if hasattr(step.data, "key")} == {"front"}


def test_more_changes_than_policy_allows_are_refused() -> None:
    one = replace(cases.hello(), policy=Policy(max_changes=Share(number=2)))
    made = plan(change(one, "front", args=()), applied(cases.hello()).world())
    assert "too-many-changes" in _codes(made)


def test_an_unclean_tree_is_refused_where_policy_says_so() -> None:
    one = replace(cases.hello(), policy=Policy(require_clean_tree=True))
    assert "unclean-tree" in _codes(plan(one, empty(one), revision=Revision(commit="a" * 40)))
    assert "unclean-tree" not in _codes(plan(one, empty(one)))


def test_a_service_without_check_is_refused_where_policy_says_so() -> None:
    one = replace(fleet(service("api", health=())), policy=Policy(require_health=True))
    assert _codes(plan(one, empty(one))) == {"no-health-check"}


def test_a_check_that_policy_wants_cannot_be_taken_away_from_who_runs() -> None:
    one = replace(fleet(service("api")), policy=Policy(require_health=True))
    two = change(one, "api", health=())
    world = applied(one).world()
    assert _codes(plan(two, world)) == {"no-health-check"}
    assert _codes(plan(replace(two, policy=Policy()), world)) == {"no-health-check"}
    assert plan(two, world, destroy=True).can_apply


def test_a_volume_never_shrinks_and_does_not_grow_yet() -> None:
    one = cases.hello()
    world = applied(one).world()
    smaller = replace(one, volumes={"counter": Volume(name="counter", size=GIB // 2)})
    larger = replace(one, volumes={"counter": Volume(name="counter", size=GIB * 2)})
    assert _codes(plan(smaller, world)) == {"volume-shrinks"}
    assert [each.code for each in plan(larger, world).warnings] == ["volume-grows"]


def test_what_cannot_be_published_yet_is_said() -> None:
    by_name = (Publication(port=443, to="http", sni="shop.example.org"),)
    one = fleet(service("api", publish=by_name))
    assert _codes(plan(one, empty(one))) == {"not-supported"}
    job = fleet(service("api", publish=published(80), kind="job"))
    assert _codes(plan(job, empty(job))) == {"not-supported"}


def test_a_held_lease_is_told_and_bars_no_plan() -> None:
    one = cases.hello()
    made = plan(one, empty(one, lease={"user": "bo@desk"}))
    assert made.can_apply
    assert "bo@desk holds the lease of hv1" in made.warnings[0].summary


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "frnt"}, "-target: 'frnt' selects nothing, did you mean front?"),
        ({"exclude": "frnt"}, "-exclude: 'frnt' selects nothing, did you mean front?"),
        ({"target": "front,!conter"}, "-target: 'conter' selects nothing, did you mean counter?"),
        ({"target": "front-9"}, "-target: 'front-9' selects nothing, did you mean front-2?"),
        ({"target": "host:hb1"}, "-target: 'host:hb1' selects nothing, did you mean hv1?"),
        ({"target": "host:zz*"}, "-target: 'host:zz*' selects nothing: there is hv1"),
        ({"target": "@edge"}, "-target: '@edge' selects nothing"),
        ({"replace": ("frnt-1",)}, "-replace: the fleet has no 'frnt-1', did you mean front-1?"),
        ({"allow_volumes": ("cuonter",)}, "-allow-destroy: no host has a volume 'cuonter', did you mean counter?"),
    ],
)
def test_what_is_named_and_is_not_there_is_a_sentence_with_what_was_meant(
    options: dict[str, object], said: str
) -> None:
    one = cases.hello()
    with pytest.raises(ValueError) as failed:
        plan(one, applied(one).world(), **options)
    assert str(failed.value) == said


def test_a_selector_of_who_lives_and_is_not_declared_any_more_selects() -> None:
    one = cases.hello()
    two = change(without(one, "counter"), "front", args=(), needs=())
    world = applied(one).world()
    for target in ("counter", "counter-0", "c*"):
        changes = plan(two, world, target=target, allow_destroy=1).changes
        assert [each.subject for each in changes if each.action is not Action.KEEP] == ["counter-0"]


def test_a_target_names_of_what_it_needs_only_what_is_absent() -> None:
    one = cases.hello()
    assert "counter" in plan(one, empty(one), target="front").partial
    assert plan(one, applied(one).world(), target="front").partial == "only front"


def test_a_service_that_most_likely_has_a_new_name_is_told_with_how_to_say_so() -> None:
    one = cases.hello()
    two = replace(
        without(one, "front"),
        services={**without(one, "front").services, "web": replace(one.services["front"], name="web")},
    )
    world = applied(one).world()
    (told,) = [each for each in plan(two, world).warnings if each.code == "renamed"]
    assert told.summary.startswith("front is gone from the fleet file, and web is new") and "`was: front`" in told.hint
    other = change(two, "web", ports=())
    assert "renamed" not in {each.code for each in plan(other, world).warnings}


def test_a_volume_named_that_a_silent_host_may_have_is_told() -> None:
    one = cases.two_hosts()
    made = plan(one, silent(applied(one).world(), "hv2"), allow_volumes=("cuonter",))
    assert "no-volume" in {each.code for each in made.warnings}


def test_a_volume_that_an_earlier_apply_deleted_is_told_as_gone_and_bars_nothing() -> None:
    one = cases.hello()
    made = plan(one, applied(one).world(), allow_volumes=("old",), deleted=("old",))
    told = [each.summary for each in made.warnings if each.code == "no-volume"]
    assert made.can_apply and told == ["volume old is gone already: an earlier apply was told to delete it"]


def test_the_volume_of_a_replica_that_is_not_there_yet_is_no_guess() -> None:
    one = fleet(service("db", volumes={"data": "orders"}, replicas=2))
    made = plan(one, empty(one), destroy=True, allow_volumes=("orders-1",))
    assert [each.summary for each in made.warnings] == ["no host has a volume orders-1"]


def test_a_volume_whose_user_has_gone_is_deleted_when_named() -> None:
    one = cases.hello()
    two = change(without(one, "counter"), "front", args=(), needs=())
    sim = applied(one)
    made = plan(two, sim.world(), allow_destroy=1, allow_volumes=("counter",))
    assert made.can_apply
    assert sim.run(made)
    assert not sim.hosts["hv1"].volumes


def test_a_bad_selector_is_a_sentence() -> None:
    one = cases.hello()
    with pytest.raises(ValueError, match="selects nothing"):
        plan(one, empty(one), target="%")


def _scaled_down(by: int, **options: object) -> Plan:
    one = fleet(service("api", replicas=20), hosts=2)
    return plan(change(one, "api", replicas=20 - by), applied(one).world(), **options)


def test_seven_may_go_where_seven_are_named_and_eight_may_not() -> None:
    assert _scaled_down(7, allow_destroy=7).can_apply
    refused = _scaled_down(8, allow_destroy=7)
    assert _codes(refused) == {"budget"}
    assert "destroys 8 of 20" in refused.refusals[0].summary and "-allow-destroy 8" in refused.refusals[0].hint


def test_a_bound_on_changes_is_raised_by_naming_their_number() -> None:
    one = replace(fleet(service("api", replicas=6), hosts=2), policy=Policy(max_changes=Share(number=3)))
    two, world = change(one, "api", args=("--x",)), applied(fleet(service("api", replicas=6), hosts=2)).world()
    refused = plan(two, world)
    assert _codes(refused) == {"too-many-changes"} and "-allow-changes 6" in refused.refusals[0].hint
    assert not plan(two, world, allow_changes=5).can_apply
    allowed = plan(two, world, allow_changes=6)
    assert allowed.can_apply and allowed.overrides == ("changes:6",)


def test_a_policy_that_loosens_itself_is_judged_by_the_one_last_applied() -> None:
    strict = Policy(max_changes=Share(number=3), max_destroy=Share(number=1), require_clean_tree=True)
    one = replace(fleet(service("api", replicas=3), hosts=2), policy=strict)
    loose = replace(change(one, "api", args=("--x",), replicas=6), policy=Policy())
    made = plan(loose, applied(one).world(), revision=Revision(commit="c", clean=False))
    assert _codes(made) == {"too-many-changes", "unclean-tree"}


def test_a_new_policy_that_is_stricter_rules_at_once() -> None:
    one = fleet(service("api", replicas=20), hosts=2)
    two = replace(change(one, "api", replicas=17), policy=Policy(max_destroy=Share(number=2)))
    assert _codes(plan(two, applied(one).world())) == {"budget"}


@pytest.mark.parametrize("replicas", [1, 4])
def test_a_fleet_file_that_lost_its_services_is_refused_until_their_number_is_named(replicas: int) -> None:
    one = replace(fleet(service("api", replicas=replicas), hosts=2), policy=Policy(max_destroy=Share(number=99)))
    world = applied(one).world()
    refused = plan(replace(one, services={}), world)
    assert _codes(refused) == {"emptied"} and f"-allow-destroy {replicas}" in refused.refusals[0].hint
    assert plan(replace(one, services={}), world, allow_destroy=replicas).can_apply
    assert plan(replace(one, services={}), world, destroy=True).can_apply


def test_a_fleet_file_that_lost_its_hosts_too_is_refused() -> None:
    one = fleet(service("api"))
    made = plan(replace(one, services={}, hosts={}), {})
    assert _codes(made) == {"emptied"} and "neither hosts nor services" in made.refusals[0].summary


def test_all_services_scaled_to_none_are_an_emptied_fleet_too() -> None:
    one = replace(fleet(service("api")), policy=Policy(max_destroy=Share(number=99)))
    assert _codes(plan(change(one, "api", replicas=0), applied(one).world())) == {"emptied"}


def test_the_last_user_of_a_volume_goes_only_where_the_number_or_the_volume_is_named() -> None:
    one = fleet(service("db", volumes={"data": "orders"}), service("api", replicas=4), hosts=2)
    world = applied(one).world()
    two = without(one, "db")
    assert _codes(plan(two, world)) == {"last-user"}
    assert plan(two, world, allow_destroy=1).can_apply
    assert plan(two, world, allow_volumes=("orders",)).can_apply
    assert plan(one, world, destroy=True, target="db").can_apply


def test_a_volume_that_is_handed_on_keeps_a_user() -> None:
    one = fleet(service("db", volumes={"data": "orders"}), service("api"), hosts=1)
    two = without(one, "db")
    two = change(two, "api", volumes={"data": "orders"})
    assert "last-user" not in _codes(plan(two, applied(one).world()))


def test_a_number_named_is_enough_only_for_as_many() -> None:
    one = fleet(service("db", volumes={"data": "orders"}, replicas=3), service("api", replicas=20), hosts=2)
    two = without(one, "db")
    assert _codes(plan(two, applied(one).world(), allow_destroy=2)) == {"last-user"}


def test_rebalancing_leaves_volumes_protected_ones_and_what_is_even_alone() -> None:
    from tests.plan.builders import host
    from unictl.plan.model.change import Action

    one = fleet(
        service("db", replicas=4, volumes={"data": "orders"}),
        service("kept", replicas=4, protect=True),
        service("even", replicas=2),
        service("pinned", replicas=4, placement=Placement(hosts="hv1,hv2")),
        service("free", replicas=4),
        hosts=2,
    )
    two = replace(one, hosts={**one.hosts, "hv3": host("hv3"), "hv4": host("hv4")})
    made = plan(two, {**empty(two), **applied(one).world()}, rebalance=True)
    moves = [each for each in made.changes if each.action is Action.MOVE]
    assert {each.service for each in moves} == {"free"} and {each.to_host for each in moves} == {"hv3", "hv4"}
    assert {each.reason for each in moves} == {"move_because_rebalance"}


@pytest.mark.parametrize(
    ("marks", "said", "next_"),
    [
        ({"drain": True}, "api-0 cannot be on hv1: hv1 is being drained", "take `drain` off hv1"),
        ({"lost": True}, "api-0 cannot be on hv1: hv1 is declared lost", "take `lost` off hv1"),
    ],
)
def test_who_finds_no_host_is_named_with_what_to_do(marks: dict[str, bool], said: str, next_: str) -> None:
    one = fleet(service("api"), hosts=[host("hv1", **marks)])
    found = next(each for each in plan(one, empty(one)).refusals if each.code.startswith("no-room"))
    assert found.summary == said and next_ in found.hint


def test_a_launch_of_files_that_no_commit_has_names_its_commit_with_a_mark() -> None:
    one = fleet(service("api"))
    for revision, said in (
        (Revision(commit="c0ffee", clean=True), "c0ffee"),
        (Revision(commit="c0ffee", clean=False), "c0ffee+"),
        (Revision(), ""),
    ):
        steps = plan(one, empty(one), revision=revision).steps
        assert [each.data.document["commit"] for each in steps if each.kind is StepKind.LAUNCH] == [said]


def test_an_ingress_longer_than_a_host_can_be_told_is_refused_and_old_and_new_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = (fleet(service("web", replicas=4, image=name, publish=published(80)), hosts=2) for name in ("app", "v2"))
    world = applied(old).world()
    fits = plan(new, world)
    monkeypatch.setattr(
        haproxy_config, "MAX_CONFIG_BYTES", len(members.render_config(old.owner, fits.membership["hv1"]))
    )
    assert plan(old, empty(old)).can_apply
    (refusal,) = plan(new, world).refusals
    assert refusal.code == "ingress-too-long"
    assert "hv1 and hv2 would lead to 8 instances, old and new" in refusal.summary
    assert "two fleets" in refusal.hint
    assert fits.can_apply


def test_a_volume_goes_over_once_who_stays_without_it_has_let_go() -> None:
    one = fleet(service("alpha", ports=(), health=()), service("beta", ports=(), health=(), volumes={"data": "orders"}))
    over = change(change(one, "alpha", volumes={"data": "orders"}), "beta", volumes={})
    sim = applied(one)
    made = plan(over, sim.world())
    assert made.can_apply and sim.run(made)
    assert [v.used_by.partition(".")[0] for v in sim.hosts["hv1"].volumes] == ["alpha-0"]


def test_a_volume_that_no_order_brings_to_its_new_user_is_refused_and_not_found_out_half_way() -> None:
    one = fleet(
        service("alpha", ports=(), health=(), volumes={"data": "orders"}),
        service("beta", ports=(), health=(), volumes={"data": "mails"}),
    )
    swapped = change(change(one, "alpha", volumes={"data": "mails"}), "beta", volumes={"data": "orders"})
    made = plan(swapped, applied(one).world())
    (told,) = [each for each in made.refusals if each.code == "volume-tangled"]
    assert "gives up only later" in told.summary and "apply once without the volume" in told.hint


def test_needs_count_more_than_who_gives_a_volume_to_whom() -> None:
    one = fleet(
        service("alpha", ports=(), health=()),
        service("beta", ports=(), health=(), volumes={"data": "orders"}, needs=("alpha",)),
    )
    over = change(change(one, "alpha", volumes={"data": "orders"}), "beta", volumes={})
    assert _codes(plan(over, applied(one).world())) == {"volume-tangled"}


def test_steps_that_wait_for_each_other_are_refused_by_their_ids_and_what_they_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def steps_in_a_cycle(builder: StepBuilder) -> tuple[Step, ...]:
        first, *others = steps_of(builder)
        gate = next(step for step in others if step.kind is StepKind.PROVE)
        return (replace(first, needs=(gate.id,)), *others)

    steps_of = StepBuilder.steps
    monkeypatch.setattr(StepBuilder, "steps", steps_in_a_cycle)
    one = fleet(service("web"))
    made = plan(one, empty(one))
    (refusal,) = made.refusals
    stage, launch, gate = refusal.detail.splitlines()
    assert refusal.code == "step-cycle" and not made.can_apply
    assert re.fullmatch(r"(stage:hv1:\w+): stage app\.kernel on hv1", stage)
    assert re.fullmatch(r"(launch:web-0\.\w+): launch web-0\.\w+ on hv1", launch)
    assert re.fullmatch(r"(prove:web-0\.\w+): prove web-0\.\w+ on hv1", gate)
    ids = [line.partition(": ")[0] for line in (stage, launch, gate, stage)]
    assert refusal.summary == f"dependency cycle between steps: {' -> '.join(ids)}"
    assert refusal.summary.split(":")[0] in layout.join_lines(plan_text.render(made, 80))
