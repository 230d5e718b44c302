"""What a plan costs, from YAML text and survey replies to the printed plan: ``python -m tests.bench.planner``.

Fleets of 1,000, 5,000 and 20,000 instances: services of 50 replicas on hosts of 20 instances each, none of them real:
their surveys are made from the first plan, as JSON, the way hosts answer. Seconds are those of the processor: a plan
waits for nothing, and others may share the machine. Every row is a process of its own, so that
its peak memory is its own. Prints; asserts nothing. Where there is a ``terraform``, its plan of as many
``terraform_data`` resources, from a state file made beforehand, stands beside the no-op.
"""

import argparse
import gc
import json
import math
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from unictl.declaration.load import load_fleet
from unictl.guests.image_facts import ImageFacts
from unictl.images.lock_file import assign_endpoint_numbers
from unictl.instances.observed.host_state import decode_survey
from unictl.operations.package_data import load_fleet_schema
from unictl.plan.ingress import members
from unictl.plan.model.options import PlanOptions
from unictl.plan.model.plan import Plan
from unictl.plan.model.revision import Revision
from unictl.plan.model.step import StepKind
from unictl.plan.planner import build
from unictl.views.text import layout, plan_text

GIB = 1 << 30
REPLICAS, PER_HOST = 50, 20
SCENARIOS = ("create", "no-op", "image", "drain")
ROUNDS = 3


@dataclass(frozen=True)
class Cost:
    """Seconds and bytes of one plan, and what it printed."""

    seconds: float
    loading: float
    surveys: float
    planning: float
    printing: float
    peak: int
    lines: int
    size: int
    summary: str


def yaml(instances: int, ingresses: int, *, drained: bool = False) -> str:
    """The fleet file: services that need the one before in groups of ten, each with an image of its own."""
    services, hosts = instances // REPLICAS, max(1, instances // PER_HOST)
    lines = ["fleet: {name: bench, id: be4c4}", "hosts:"]
    for n in range(hosts):
        more = f"{'' if n < ingresses else ', ingress: false'}{', drain: true' if drained and n == hosts // 2 else ''}"
        address = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
        lines.append(f"  h{n}: {{connect: 'ssh://ops@h{n}.example.org', address: {address}, zone: z{n % 5}{more}}}")
    lines += ["images:", *(f"  i{n}: {{guest: plain, kernel: {n}.elf}}" for n in range(services))]
    lines += [
        "templates:",
        f"  usual: {{replicas: {REPLICAS}, memory: 32MiB, ports: {{http: 8080}}, placement: {{spread: zone}},",
        "    health: {http: /healthz, port: http}, update: {max_parallel: 20%}}",
        "services:",
    ]
    for n in range(services):
        need = f", needs: [s{n - 1}], args: ['--to=${{service.s{n - 1}.http}}']" if n % 10 else ""
        lines.append(f"  s{n}: {{extends: usual, image: i{n}{need}}}")
    return "\n".join(lines) + "\n"


def facts(services: int, bumped: int | None = None) -> dict[str, dict[str, ImageFacts]]:
    """Image facts, as a lock has them."""
    return {f"i{n}": {"kernel": _facts(f"{n} {'new' if n == bumped else ''}")} for n in range(services)}


def _facts(what: str) -> ImageFacts:
    return ImageFacts(sha256=sha256(what.encode()).hexdigest(), size=1 << 20, kind="elf64", protocols=("pvh",))


def endpoints(services: int) -> dict[str, int]:
    """A number for each."""
    return assign_endpoint_numbers({}, [(f"s{n}.http", 20_000, 29_999) for n in range(services)])


def empty(host: str) -> dict[str, Any]:
    """What a host says that has nothing."""
    return {
        "host": {
            "id": sha256(host.encode()).hexdigest()[:32],
            "boot_id": str(uuid.UUID(int=7)),
            "clock": 1.0,
            "root": "/var/lib/unictl",
            "user": "root",
            "memory": 64 * GIB,
            "memory_free": 60 * GIB,
            "cpus": 64,
            "disk_free": 500 * GIB,
            "supervision": "detached",
            "hypervisors": {"qemu": {"path": "/usr/bin/qemu-system-x86_64", "version": "9.2"}},
            "accelerator": {"name": "kvm"},
            "lacks": [],
        },
        "instances": [],
        "retired": {},
        "volumes": [],
        "images": [],
        "claims": [],
        "ingress": {"state": "absent", "hash": ""},
    }


def applied(made: Plan, hosts: Iterator[str]) -> dict[str, dict[str, Any]]:
    """What every host says once ``made`` was applied."""
    world = {host: empty(host) for host in hosts}
    composed: dict[str, dict[str, Any]] = {host: dict(rows) for host, rows in made.membership.items()}
    for step in made.steps:
        match step.kind:
            case StepKind.STAGE:
                world[step.host]["images"].append(step.data.digest)
            case StepKind.LAUNCH:
                world[step.host]["instances"].append(_row(step.data.document))
            case StepKind.JOIN:
                composed.setdefault(step.host, {}).update(step.data.services)
            case StepKind.REMEMBER:
                world[step.host] |= {"policy": step.data.policy, "hosts": "\n".join(step.data.hosts)}
    digests: dict[int, str] = {}
    for host, services in composed.items():
        if not digests:
            digests[0] = members.config_digest(made.owner, services)
        world[host]["ingress"] = {"state": "running", "hash": digests[0]}
    return world


def _row(document: Mapping[str, Any]) -> dict[str, Any]:
    """The short row of a record, as ``onhost.survey`` says it."""
    run = document["run"]
    shown = ("name", "generation", "service", "ordinal", "launch", "fingerprint", "commit", "protect", "resolved")
    return {
        **{key: document[key] for key in shown},
        **{key: run[key] for key in ("memory", "overhead", "cpus", "forwards", "volumes", "images")},
        "state": "running",
        "since": 1.0,
        "starts": 1,
        "proven": True,
        "end": None,
    }


def plan(source: str, replies: Iterator[tuple[str, str]], bumped: int | None) -> tuple[Plan, list[float], str]:
    """The whole way; seconds of each part."""
    times = [time.process_time()]
    loaded = load_fleet({"fleet.yaml": source}, schema=load_fleet_schema())
    assert loaded.fleet is not None, loaded.problems
    times.append(time.process_time())
    world = {host: decode_survey(host, json.loads(reply)) for host, reply in replies}
    times.append(time.process_time())
    services = len(loaded.fleet.services)
    made = build(
        loaded.fleet,
        facts(services, bumped),
        endpoints(services),
        world,
        revision=Revision(commit="c" * 40, clean=True),
        options=PlanOptions(),
        places=loaded.places,
    )
    times.append(time.process_time())
    shown = layout.join_lines(plan_text.render(made, 80))
    times.append(time.process_time())
    return made, [b - a for a, b in pairwise(times)], shown


def prepare(folder: Path, instances: int, ingresses: int) -> None:
    """The files of all scenarios of one size."""
    source = yaml(instances, ingresses)
    (folder / "fleet.yaml").write_text(source)
    (folder / "drain.yaml").write_text(yaml(instances, ingresses, drained=True))
    hosts = [f"h{n}" for n in range(max(1, instances // PER_HOST))]
    blank = [(host, json.dumps(empty(host))) for host in hosts]
    (folder / "empty.jsonl").write_text("\n".join(reply for _, reply in blank))
    made, _, _ = plan(source, iter(blank), None)
    assert made.can_apply, made.refusals[:3]
    world = applied(made, iter(hosts))
    (folder / "full.jsonl").write_text("\n".join(json.dumps(world[host]) for host in hosts))
    # Of what is to be replaced, hosts say the whole record.
    specs = {
        step.data.document["name"]: step.data.document["spec"] for step in made.steps if step.kind is StepKind.LAUNCH
    }
    for said in world.values():
        for row in said["instances"]:
            if row["service"] == "s7":
                row["spec"] = specs[row["name"]]
    (folder / "image.jsonl").write_text("\n".join(json.dumps(world[host]) for host in hosts))


def measure(folder: Path, scenario: str) -> None:
    """One scenario, measured; prints a Cost as JSON."""
    source = (folder / ("drain.yaml" if scenario == "drain" else "fleet.yaml")).read_text()
    file = {"create": "empty.jsonl", "image": "image.jsonl"}.get(scenario, "full.jsonl")
    gc.disable()
    began = time.process_time()
    with (folder / file).open() as lines:
        replies = ((f"h{n}", line) for n, line in enumerate(lines))
        made, parts, shown = plan(source, replies, 7 if scenario == "image" else None)
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told = shown.splitlines()
    assert made.can_apply, made.refusals[:3]
    row = [seconds, *parts, peak, len(told), len(shown), told[-1]]
    sys.stdout.write(json.dumps(row) + "\n")


def child(*words: str) -> str:
    """What another process of this module prints."""
    argv = [sys.executable, "-m", "tests.bench.planner", *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def costs(folder: Path, scenario: str) -> Cost:
    """The best of some rounds: what disturbs a measurement only ever adds to it."""
    rows = [Cost(*json.loads(child("--measure", scenario, "--folder", str(folder)))) for _ in range(ROUNDS)]
    return min(rows, key=lambda cost: cost.seconds)


def line(told: str = "") -> None:
    sys.stdout.write(told + "\n")
    sys.stdout.flush()


def table(sizes: list[int], ingresses: int) -> None:
    """Every size and scenario, then the exponents and the ratio of a small change to none."""
    found: dict[tuple[int, str], Cost] = {}
    line(f"{'':16}{'seconds':>8}{'load':>7}{'survey':>7}{'plan':>7}{'print':>7}{'MB':>7}{'lines':>7}{'bytes':>8}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            child("--prepare", str(size), "--ingresses", str(ingresses), "--folder", folder)
            for scenario in SCENARIOS:
                cost = found[size, scenario] = costs(Path(folder), scenario)
                parts = "".join(f"{part:7.2f}" for part in (cost.loading, cost.surveys, cost.planning, cost.printing))
                where = f"{size:>6} {scenario:9}"
                told = f"{cost.peak / 1e6:7.0f}{cost.lines:7}{cost.size:8}  {cost.summary}"
                line(f"{where}{cost.seconds:8.2f}{parts}{told}")
    if len(sizes) > 1:
        small, large = sizes[0], sizes[-1]
        for scenario in SCENARIOS:
            grown = found[large, scenario].seconds / found[small, scenario].seconds
            line(f"{scenario}: exponent {math.log(grown) / math.log(large / small):.2f} from {small} to {large}")
    for size in sizes:
        ratio = found[size, "image"].seconds / found[size, "no-op"].seconds
        line(f"one service changed against none at {size}: {ratio:.2f}")
        beside(size, found[size, "no-op"])


def beside(size: int, cost: Cost) -> None:
    """Terraform's no-op of as many resources, where there is one."""
    program = shutil.which("terraform")
    if program is None:
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "main.tf").write_text(
            f'resource "terraform_data" "it" {{\n  count = {size}\n  input = count.index\n}}\n'
        )
        (folder / "terraform.tfstate").write_text(json.dumps(_state(size)))
        subprocess.run([program, f"-chdir={folder}", "init", "-input=false"], check=True, capture_output=True)
        began = time.perf_counter()
        argv = [program, f"-chdir={folder}", "plan", "-input=false", "-refresh=false", "-no-color"]
        subprocess.run(argv, check=True, capture_output=True)
        seconds = time.perf_counter() - began
    told = f"terraform plan of {size} terraform_data, nothing to do: {seconds:.2f} s"
    line(f"{told}, {seconds / cost.seconds:.0f} times ours")


def _state(size: int) -> dict[str, Any]:
    instances = [
        {
            "index_key": n,
            "schema_version": 0,
            "attributes": {
                "id": str(uuid.UUID(int=n)),
                "input": {"value": n, "type": "number"},
                "output": {"value": n, "type": "number"},
                "triggers_replace": None,
            },
        }
        for n in range(size)
    ]
    resource_ = {
        "mode": "managed",
        "type": "terraform_data",
        "name": "it",
        "provider": 'provider["terraform.io/builtin/terraform"]',
        "instances": instances,
    }
    return {
        "version": 4,
        "terraform_version": "1.5.0",
        "serial": 1,
        "lineage": str(uuid.UUID(int=1)),
        "outputs": {},
    } | {"resources": [resource_]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,5000,20000")
    parser.add_argument("--ingresses", type=int, default=20, help="hosts that run an ingress")
    parser.add_argument("--prepare", type=int)
    parser.add_argument("--measure", choices=SCENARIOS)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.prepare:
        prepare(asked.folder, asked.prepare, asked.ingresses)
    elif asked.measure:
        measure(asked.folder, asked.measure)
    else:
        table([int(size) for size in asked.sizes.split(",")], asked.ingresses)


if __name__ == "__main__":
    main()
