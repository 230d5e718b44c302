"""The whole way, and laws about it."""

import gc
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unictl.declaration.load import LoadResult, load_fleet
from unictl.declaration.source_tree import Map
from unictl.declaration.yaml_reader import read_yaml
from unictl.diagnostics.finding import Finding
from unictl.diagnostics.resolve import resolve_findings
from unictl.fleet.model import Fleet, Network, Order, Probe, Publication
from unictl.fleet.quantities import Share
from unictl.fleet.references import Reference

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "fleet.schema.json").read_text())
CASES = Path(__file__).parent / "cases"
BASE = """fleet: shop
hosts: {hv1: {connect: local}}
images: {api: {guest: plain, kernel: build/api.elf}}
"""


def loaded(text: str, **given: Any) -> LoadResult:
    return load_fleet({"fleet.yaml": text}, schema=SCHEMA, **given)


def fleet(text: str, **given: Any) -> Fleet:
    found = loaded(text, **given)
    assert found.problems == () and found.fleet is not None
    return found.fleet


def test_what_is_not_written_has_its_default() -> None:
    service = fleet(BASE + "services: {api: {image: api}}\n").services["api"]
    assert (service.replicas, service.memory, service.network) == (1, 64 << 20, ("user",))


def test_the_user_network_is_always_there() -> None:
    assert fleet(BASE + "networks: {back: {}}\n").networks == {
        "user": Network(name="user"),
        "back": Network(name="back"),
    }


def test_templates_merge_left_to_right_below_the_service() -> None:
    found = fleet(
        BASE
        + """defaults: {memory: 1MiB, cpus: 2, labels: {a: "0", d: "0"}}
templates:
  one: {memory: 2MiB, labels: {a: "1", b: "1"}, ports: {http: 80}}
  two: {extends: three, memory: 3MiB, labels: {b: "2"}, args: [two]}
  three: {memory: 4MiB, replicas: 4, args: [three, more]}
services:
  api: {extends: [one, two], image: api, labels: {c: "s", d: null}, ports: null}
"""
    ).services["api"]
    assert (found.memory, found.cpus, found.replicas) == (3 << 20, 2, 4)
    assert found.labels == {"a": "1", "b": "2", "c": "s"} and found.ports == () and found.args == (("two",),)


ENVIRONMENTS = """fleet: shop
hosts: {hv1: {connect: local}, hv2: {connect: "ssh://hv2", address: 10.0.0.2}}
variables: {n: 1}
templates: {small: {memory: 1MiB}}
images: {api: {guest: plain, kernel: build/api.elf}}
policy: {max_destroy: 5%, max_changes: 3}
services: {api: {extends: small, image: api, replicas: "${var.n}"}, db: {image: api}}
environments:
  staging:
    variables: {n: 2}
    hosts: {st1: {connect: local}}
    policy: {max_changes: 9}
    templates: {small: {memory: 2MiB}}
    services: {api: {cpus: 2}, db: null}
"""


def test_an_environment_lies_over_the_fleet_and_replaces_hosts_networks_and_policy() -> None:
    found = fleet(ENVIRONMENTS, environment="staging")
    assert found.mark == "shop@staging" and set(found.hosts) == {"st1"} and set(found.services) == {"api"}
    assert (found.policy.max_destroy, found.policy.max_changes) == (Share(number=20, percent=True), Share(number=9))
    api = found.services["api"]
    assert (api.replicas, api.memory, api.cpus) == (2, 2 << 20, 2)


def test_the_names_of_environments_are_known_whatever_is_chosen() -> None:
    assert loaded(ENVIRONMENTS).environments == ("staging",)
    assert loaded(ENVIRONMENTS + "default_env: staging\n").fleet == fleet(ENVIRONMENTS, environment="staging")


def test_places_follow_the_merge() -> None:
    places = loaded(ENVIRONMENTS, environment="staging").places
    assert places["services", "api", "cpus"].line == 14
    assert places["services", "api", "memory"].line == 13
    assert places["services", "api", "image"].line == 7
    assert places["hosts", "st1"].line == 11


def test_variables_become_what_is_wanted() -> None:
    text = BASE + (
        "variables: {n: 3, mem: 16MiB, yes: true, port: 8080, code: 012}\nservices:\n  api: {image: api, "
        'replicas: "${var.n}", memory: "${var.mem}", protect: "${var.yes}", ports: {http: "${var.port}"}, '
        'args: ["${var.port}", "--${fleet.name}-${var.code}-${instance.name}", "$${x}", "$$${var.n}"]}\n'
    )
    found = fleet(text, variables={"n": "4"}).services["api"]
    assert (found.replicas, found.memory, found.protect, found.ports[0].number) == (4, 16 << 20, True, 8080)
    name = Reference("instance", "name")
    assert found.args == (("8080",), ("--shop-012-", name), ("${x}",), ("$4",))


def test_an_override_that_looks_like_a_reference_is_a_text() -> None:
    text = BASE + 'variables: {a: x}\nservices: {api: {image: api, args: ["${var.a}"]}}\n'
    assert fleet(text, variables={"a": "${secret.none}"}).services["api"].args == (("${secret.none}",),)


def test_short_forms_and_long_forms_mean_the_same() -> None:
    short = (
        "services: {api: {image: api, ports: {http: 80}, publish: {8080: http}, health: {http: /}, network: user}}\n"
    )
    long = (
        "services: {api: {image: api, ports: {http: 80/tcp}, publish: [{port: 8080, to: http}], "
        "health: [{http: /, port: http}], network: [user]}}\n"
    )
    one, other = fleet(BASE + short).services["api"], fleet(BASE + long).services["api"]
    assert one == other
    assert one.publish == (Publication(port=8080, to="http"),) and one.health == (
        Probe(kind="http", path="/", port="http"),
    )


def test_a_digest_beside_one_url_is_its_own() -> None:
    text = 'fleet: x\nimages: {a: {guest: plain, kernel: "https://e.org/a", initrd: b, sha256: %s}}\n' % ("ab12" * 16)
    image = fleet(text).images["a"]
    assert image.kernel and image.kernel.sha256 == "ab12" * 16 and image.initrd and image.initrd.path == "b"


def test_an_order_is_one_of_three() -> None:
    text = BASE + "services: {api: {image: api, update: {order: stop-first}}}\n"
    assert fleet(text).services["api"].update.order is Order.STOP_FIRST


class Lazy(Mapping[str, str]):
    """A folder that tells what was read of it."""

    def __init__(self, files: Mapping[str, str | Exception]):
        self.files, self.read = files, list[str]()

    def __getitem__(self, path: str) -> str:
        self.read.append(path)
        found = self.files[path]
        if isinstance(found, Exception):
            raise found
        return found

    def __contains__(self, path: object) -> bool:
        return path in self.files

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def test_only_what_is_needed_is_read() -> None:
    files = Lazy(
        {"f/fleet.yaml": BASE + "include: ['*.yaml']\n", "f/a.yaml": "", "f/b.txt": "", "a.yaml": "", "f/.c.yaml": ""}
    )
    found = load_fleet(files, schema=SCHEMA, entry="f/fleet.yaml")
    assert found.problems == () and files.read == ["f/fleet.yaml", "f/a.yaml"] == list(found.files)


def test_files_that_cannot_be_read_are_problems() -> None:
    broken = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    files = Lazy({"fleet.yaml": BASE + "include: ['*.yaml']\n", "a.yaml": broken, "b.yaml": OSError(13, "denied")})
    problems = load_fleet(files, schema=SCHEMA).problems
    assert [(p.code, str(p.place)) for p in problems] == [("unreadable", "fleet.yaml:4:11")] * 2


def test_a_folder_without_a_fleet_file_has_no_fleet() -> None:
    assert [p.code for p in load_fleet({"flet.yaml": ""}, schema=SCHEMA).problems] == ["no-fleet"]


def test_judgements_made_elsewhere_get_places_and_lines() -> None:
    found = loaded(BASE + "services:\n  api: {image: api, replicas: 3}\n")
    (problem,) = resolve_findings(
        [Finding(path=("services", "api", "replicas"), code="x", summary="too many")], found.places, found.sources
    )
    assert str(problem.place) == "fleet.yaml:5:31" and problem.source == "  api: {image: api, replicas: 3}"


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_is_left_as_it_was(was_on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        loaded(BASE)
        assert gc.isenabled() == was_on
    finally:
        (gc.enable if before else gc.disable)()


def test_what_was_clean_is_not_checked_again_and_what_was_wrong_is_told_again() -> None:
    text = BASE + "services: {api: {image: api, replicas: -1}, db: {image: api}}\n"
    assert loaded(text).problems == loaded(text).problems != ()


# Laws.

GOOD = {
    case.name: {str(p.relative_to(case)): p.read_text() for p in case.rglob("*.yaml")}
    for case in sorted(CASES.iterdir())
    if case.name.startswith("a-good-fleet")
}
EVERY = sorted({path.read_text() for path in CASES.rglob("*.yaml")})
calm = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def shuffled(value: Any, random: Any) -> Any:
    """The same document with the keys of every map in another order."""
    if isinstance(value, Map):
        names = list(value)
        random.shuffle(names)
        return {name: shuffled(value[name], random) for name in names}
    return [shuffled(item, random) for item in value] if isinstance(value, list) else value


@calm
@given(st.sampled_from(sorted(GOOD)), st.randoms(use_true_random=False))
def test_the_order_of_keys_never_matters(name: str, random: Any) -> None:
    files = GOOD[name]
    other = {path: json.dumps(shuffled(read_yaml(text, path).tree, random)) for path, text in files.items()}
    one = load_fleet(files, schema=SCHEMA)
    assert one.fleet is not None and load_fleet(other, schema=SCHEMA).fleet == one.fleet


@calm
@given(st.randoms(use_true_random=False))
def test_how_a_fleet_is_spread_over_files_never_matters(random: Any) -> None:
    whole = read_yaml(GOOD["a-good-fleet-of-three-services-on-one-host"]["fleet.yaml"], "f").tree
    files: dict[str, dict[str, Any]] = {"fleet.yaml": {"fleet": whole["fleet"], "include": ["*.yaml"]}}
    for section in ("hosts", "images", "volumes", "templates", "services"):
        for name, entry in whole[section].items():
            file = random.choice(["fleet.yaml", "a.yaml", "b.yaml", "c.yaml"])
            files.setdefault(file, {}).setdefault(section, {})[name] = entry
    order = list(files)
    random.shuffle(order)
    found = load_fleet({path: json.dumps(files[path]) for path in order}, schema=SCHEMA)
    expected = load_fleet(GOOD["a-good-fleet-of-three-services-on-one-host"], schema=SCHEMA)
    assert found.fleet == expected.fleet is not None


def told(text: str, **given: Any) -> None:
    found = loaded(text, **given)
    assert (found.fleet is None) == bool(found.problems)
    for problem in found.problems:
        assert problem.summary and "\n" not in problem.summary.replace(repr(text), "")
        assert "jsonschema" not in problem.summary and "is not valid under" not in problem.summary
        if problem.place:
            assert problem.place.line >= 1 and problem.place.column >= 1


@calm
@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    told(text)


TOKENS = [
    "null",
    "{}",
    "[]",
    "[x]",
    "{x: y}",
    "-1",
    "0",
    "1e400",
    ".nan",
    "true",
    "'${var.x}'",
    "'${'",
    "x" * 50,
    "''",
    "&a x",
    "*a",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(EVERY), st.integers(0, 10_000), st.sampled_from(TOKENS), st.integers(0, 3))
def test_no_mutated_fleet_raises(text: str, at: int, token: str, way: int) -> None:
    lines = text.splitlines() or [""]
    line = at % len(lines)
    match way:
        case 0:
            key, colon, _ = lines[line].partition(":")
            lines[line] = f"{key}{colon} {token}"
        case 1:
            lines[line] = lines[line].replace(" ", "", 1)
        case 2:
            del lines[line]
        case _:
            column = at % (len(lines[line]) + 1)
            lines[line] = lines[line][:column] + token + lines[line][column:]
    told("\n".join(lines), environment="staging" if at % 2 else "")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["api", "user", "1s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(SCHEMA["properties"])),
    st.sampled_from(sorted(SCHEMA["$defs"]["service"]["properties"])),
    values,
    values,
)
def test_no_value_anywhere_raises(section: str, key: str, one: Any, other: Any) -> None:
    told(json.dumps({"fleet": "x", section: {"a": one, "b": other}}))
    told(json.dumps({"fleet": "x", section: one}))
    told(json.dumps({"fleet": "x", "services": {"a": {"image": "i", key: one}}, "defaults": {key: other}}))
