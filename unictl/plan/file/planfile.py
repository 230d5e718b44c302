"""A Plan as canonical JSON and back: the same plan is the same bytes. Pure; knows no files.

A file of an older minor version opens, one of a newer minor too (what it has more is left out), a newer major does not.
Since 1.1 the hash leaves out the format's version and what is empty, so that a later minor reads the same hash.
``schemas/plan.schema.json`` says what every key means.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields, replace
from hashlib import sha256
from typing import Any

from unictl.diagnostics.diagnostic import Diagnostic, Severity
from unictl.diagnostics.failure import InvalidFleet
from unictl.diagnostics.place import Place
from unictl.fleet.model import Port
from unictl.instances.desired.instance import DesiredInstance, PlacedInstance
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.file.approval import approval_hash
from unictl.plan.model.change import Action, Change, Field
from unictl.plan.model.image_source import ImageSource
from unictl.plan.model.ingress import Listener, Membership, Server
from unictl.plan.model.payloads import FileData, IngressData, LaunchData, RememberData
from unictl.plan.model.plan import FORMAT_VERSION, Endpoint, Plan
from unictl.plan.model.plan_facts import PlanFacts
from unictl.plan.model.plan_host import Headroom, HostPreconditions, PlanHost
from unictl.plan.model.revision import Revision
from unictl.plan.model.step import Step, StepKind
from unictl.plan.model.wave import WaveRecord

_HASHED_KEYS = {field.name for field in fields(Plan)} - {"facts", "headroom", "warnings"}
_HASHED_KEYS |= {"servers", "remembered"}
_MAJOR, _MINOR = (int(part) for part in FORMAT_VERSION.split("."))
_PLAN_AGAIN = "plan again with this unictl"


def dump(plan: Plan) -> str:
    """The plan file: one JSON document, on one line, its keys sorted."""
    return _canonical_json(plan_document(plan)) + "\n"


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan file as a tree, with the plan's hash and its approval hash."""
    plain = plan_json(plan)
    return {**plain, "hash": _sha256(plain), "approval_hash": approval_hash(plan)}


def load(text: str) -> Plan:
    """The plan of a plan file; InvalidFleet where it is none, is of a newer major version, or was changed."""
    try:
        plain = json.loads(text)
        major, minor = _parse_version(plain["format_version"])
    except (ValueError, KeyError, TypeError):
        raise InvalidFleet("this is no plan file", hint="make one with: unictl plan -out FILE") from None
    if major > _MAJOR:
        summary = (
            f"this plan file was written by a newer unictl: its format is {major}.{minor}, this one reads {_MAJOR}.x"
        )
        raise InvalidFleet(summary, hint=f"upgrade unictl, or {_PLAN_AGAIN}")
    if _MINOR >= minor >= 1 and plain.get("hash") != _sha256(plain):
        raise InvalidFleet("this plan file was changed after it was made", hint=_PLAN_AGAIN)
    try:
        return _decode_plan(plain)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidFleet(f"this plan file is damaged: {error!r}", hint=_PLAN_AGAIN) from None


def _parse_version(text: str) -> tuple[int, int]:
    major, minor = str(text).split(".")
    return int(major), int(minor)


def plan_hash(plan: Plan) -> str:
    """What identifies a plan, whatever is only shown of it."""
    return _sha256(plan_json(plan))


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plain form of a plan, without its hashes. A launch document stands once, in its step."""
    plain = {field.name: getattr(plan, field.name) for field in fields(plan)}
    servers, remembered = _ServerTable(), _remembered_data(plan)
    return plain | {
        "format_version": FORMAT_VERSION,
        "revision": asdict(plan.revision),
        "hosts": {name: host.to_json() for name, host in plan.hosts.items()},
        "preconditions": {host: preconditions.to_json() for host, preconditions in plan.preconditions.items()},
        "images": {digest: source.to_json() for digest, source in plan.images.items()},
        "headroom": {host: headroom.to_json() for host, headroom in plan.headroom.items()},
        "facts": plan.facts.to_json(),
        "changes": [_change_json(change) for change in plan.changes],
        "steps": [_step_json(step, servers, remembered) for step in plan.steps],
        "remembered": remembered.to_json() if remembered else {},
        "membership": {host: servers.pack(services) for host, services in plan.membership.items()},
        "servers": servers.to_json(),
        "waves": [wave.to_json() for wave in plan.waves],
        "endpoints": [asdict(endpoint) for endpoint in plan.endpoints],
        "refusals": [_problem_json(problem) for problem in plan.refusals],
        "warnings": [_problem_json(problem) for problem in plan.warnings],
    }


def _sha256(plain: Mapping[str, Any]) -> str:
    hashed = {key: value for key, value in plain.items() if key in _HASHED_KEYS and value}
    return sha256(_canonical_json(hashed).encode()).hexdigest()


def _canonical_json(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class _ServerTable:
    """The servers of all ingress steps, each once: a listing of a thousand members is a thousand small numbers."""

    def __init__(self) -> None:
        self._servers: list[Server] = []
        self._number_by_identity: dict[int, int] = {}

    def to_json(self) -> list[dict[str, Any]]:
        """All of them, by number."""
        return [server.to_json() for server in self._servers]

    def pack(self, membership: Membership) -> dict[str, Any]:
        """The listeners with numbers for servers."""
        return {
            service: [listener.to_json(self._numbers_of(listener.servers)) for listener in listeners]
            for service, listeners in membership.items()
        }

    def _numbers_of(self, servers: Iterable[Server]) -> list[int]:
        return [self._number_of(server) for server in servers]

    def _number_of(self, server: Server) -> int:
        # By identity: a rollout makes one server a member, and a loaded plan's servers come from one table.
        number = self._number_by_identity.get(id(server))
        if number is None:
            number = self._number_by_identity[id(server)] = len(self._servers)
            self._servers.append(server)
        return number


def _decode_membership(plain: Mapping[str, Any], servers: Sequence[Server]) -> Membership:
    return {
        service: tuple(Listener.from_json(listener, servers) for listener in listeners)
        for service, listeners in plain.items()
    }


def _without_defaults(value: Any) -> dict[str, Any]:
    """The fields of a value that are not at their default: most rows of a large plan say little."""
    pairs = ((field, getattr(value, field.name)) for field in fields(value))
    return {field.name: field_value for field, field_value in pairs if field_value != _default_of(field)}


def _default_of(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _remembered_data(plan: Plan) -> RememberData | None:
    """What every host is to remember: every host of the fleet, so it stands once and not in each step."""
    return next((step.data for step in plan.steps if isinstance(step.data, RememberData)), None)


def _step_json(step: Step, servers: _ServerTable, remembered: RememberData | None) -> dict[str, Any]:
    plain = _without_defaults(step) | {"kind": step.kind.value}
    if step.data is not None:
        del plain["data"]
    # What every host remembers stands once, beside the steps.
    if isinstance(step.data, FileData) and step.data != remembered:
        plain["data"] = _data_json(step.data, servers)
    return plain


def _data_json(data: FileData, servers: _ServerTable) -> dict[str, Any]:
    plain = data.to_json()
    return {**plain, "services": servers.pack(data.services)} if isinstance(data, IngressData) else plain


def _change_json(change: Change) -> dict[str, Any]:
    plain = _without_defaults(change) | {"action": change.action.value}
    if change.fields:
        plain["fields"] = [{"path": field.path, "old": field.old, "new": field.new} for field in change.fields]
    if change.old:
        plain["old"] = _without_defaults(change.old)
    if change.new:
        plain["new"] = _new_json(change.new)
    return plain


def _new_json(new: PlacedInstance) -> dict[str, Any]:
    desired = _without_defaults(new.desired) | {"ports": [_without_defaults(port) for port in new.desired.ports]}
    if new.document:
        del desired["spec"]
    return _without_defaults(new) | {"desired": desired, "document": new.key if new.document else None}


def _problem_json(problem: Diagnostic) -> dict[str, Any]:
    return asdict(problem) | {"severity": problem.severity.value}


def _decode_plan(plain: Mapping[str, Any]) -> Plan:
    servers = tuple(Server.from_json(entry) for entry in plain["servers"])
    remembered = RememberData.from_json(plain["remembered"]) if plain.get("remembered") else None
    steps = tuple(_decode_step(entry, servers, remembered) for entry in plain["steps"])
    documents = {step.subject: step.data_as(LaunchData).document for step in steps if step.kind is StepKind.LAUNCH}
    values = {item.name: plain[item.name] for item in fields(Plan) if item.name in plain}
    return Plan(
        **values
        | {
            "revision": Revision(**plain["revision"]),
            "changes": tuple(_decode_change(entry, documents) for entry in plain["changes"]),
            "steps": steps,
            "membership": {host: _decode_membership(item, servers) for host, item in plain["membership"].items()},
            "endpoints": tuple(Endpoint(**entry | {"hosts": tuple(entry["hosts"])}) for entry in plain["endpoints"]),
            "secrets": tuple(plain["secrets"]),
            "overrides": tuple(plain.get("overrides", ())),
            "waves": tuple(WaveRecord.from_json(entry) for entry in plain["waves"]),
            "hosts": {name: PlanHost.from_json(entry) for name, entry in plain["hosts"].items()},
            "preconditions": {
                host: HostPreconditions.from_json(entry) for host, entry in plain["preconditions"].items()
            },
            "images": {digest: ImageSource.from_json(entry) for digest, entry in plain["images"].items()},
            "headroom": {host: Headroom.from_json(entry) for host, entry in plain.get("headroom", {}).items()},
            "facts": PlanFacts.from_json(plain.get("facts", {})),
            "refusals": tuple(_decode_problem(entry) for entry in plain["refusals"]),
            "warnings": tuple(_decode_problem(entry) for entry in plain["warnings"]),
        }
    )


def _decode_step(plain: Mapping[str, Any], servers: Sequence[Server], remembered: RememberData | None) -> Step:
    kind = _decode_kind(plain["kind"])
    is_remembered = kind is StepKind.REMEMBER and "data" not in plain
    data = remembered if is_remembered else _decode_data(kind, plain.get("data", {}), servers)
    return Step(**_known_fields(Step, plain) | {"kind": kind, "needs": tuple(plain.get("needs", ())), "data": data})


def _decode_data(kind: StepKind, plain: Mapping[str, Any], servers: Sequence[Server]) -> FileData | None:
    if "services" in plain:
        plain = {**plain, "services": _decode_membership(plain["services"], servers)}
    return kind.traits.data_type.from_json(plain) if kind.traits.data_type else None


def _decode_kind(value: str) -> StepKind:
    # mypy takes the arguments of a member for those of a look-up by value.
    return StepKind(value)  # type: ignore[call-arg]


def _known_fields(kind: Callable[..., Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: plain[field.name] for field in fields(kind) if field.name in plain}  # type: ignore[arg-type]


def _decode_change(plain: Mapping[str, Any], documents: Mapping[str, Any]) -> Change:
    old, new = plain.get("old"), plain.get("new")
    return Change(
        **_known_fields(Change, plain)
        | {
            "action": Action(plain["action"]),
            "fields": tuple(Field(**field) for field in plain.get("fields", ())),
            "origin": tuple(plain.get("origin", ())),
            "old": _decode_live(old) if old else None,
            "new": _decode_placed(new, documents) if new else None,
        }
    )


def _decode_live(plain: Mapping[str, Any]) -> LiveInstance:
    tuples = {key: tuple(plain.get(key, ())) for key in ("forwards", "volumes", "images")}
    if plain.get("checks") is not None:
        tuples["checks"] = tuple(plain["checks"])
    return LiveInstance(**_known_fields(LiveInstance, plain) | tuples)


def _decode_placed(plain: Mapping[str, Any], documents: Mapping[str, Any]) -> PlacedInstance:
    document = documents[plain["document"]] if plain["document"] else {}
    spec = document.get("spec", plain["desired"].get("spec"))
    ports = tuple(Port(**port) for port in plain["desired"]["ports"])
    desired = DesiredInstance(**_known_fields(DesiredInstance, plain["desired"]) | {"spec": spec, "ports": ports})
    return PlacedInstance(
        **_known_fields(PlacedInstance, plain)
        | {"desired": desired, "document": document, "forwards": tuple(plain["forwards"])}
    )


def _decode_problem(plain: Mapping[str, Any]) -> Diagnostic:
    bare = Diagnostic(
        **_known_fields(Diagnostic, plain) | {"severity": Severity(plain["severity"]), "place": None, "related": ()}
    )
    place = Place(**plain["place"]) if plain["place"] else None
    return replace(bare, place=place, related=tuple(Place(**related_place) for related_place in plain["related"]))
