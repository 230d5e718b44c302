"""A Plan as canonical JSON and back: the same plan is the same bytes. Pure; knows no files.

A file of an older minor version opens, one of a newer minor too (what it has more is left out), a newer major does not.
Since 1.1 the hash leaves out the format's version and what is empty, so that a later minor reads the same hash.
``schemas/plan.schema.json`` says what every key means.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields, replace
from hashlib import sha256
from operator import index
from typing import Any

from unictl.diagnostics.diagnostic import Diagnostic, Severity
from unictl.diagnostics.failure import InvalidFleet
from unictl.diagnostics.place import Place
from unictl.fleet.model import Port
from unictl.instances.desired.instance import Located, Wished
from unictl.instances.observed.host_state import LiveInstance
from unictl.plan.estimates.headroom import AMOUNTS
from unictl.plan.file.approval import approval_hash
from unictl.plan.ingress.members import Membership
from unictl.plan.model.change import Action, Change, Field
from unictl.plan.model.plan import FORMAT_VERSION, Endpoint, Plan
from unictl.plan.model.revision import Revision
from unictl.plan.model.step import Kind, Step

_HASHED = ({each.name for each in fields(Plan)} | {"servers", "remembered"}) - {"facts", "tightest", "warnings"}
_MAJOR, _MINOR = (int(part) for part in FORMAT_VERSION.split("."))
_AGAIN = "plan again with this unictl"


def dump(plan: Plan) -> str:
    """The plan file: one JSON document, on one line, its keys sorted."""
    return _canonical(document(plan)) + "\n"


def document(plan: Plan) -> dict[str, Any]:
    """The plan file as a tree, with the plan's hash and its approval hash."""
    plain = plan_json(plan)
    return {**plain, "hash": _hash(plain), "approval_hash": approval_hash(plan)}


def load(text: str) -> Plan:
    """The plan of a plan file; InvalidFleet where it is none, is of a newer major version, or was changed."""
    try:
        plain = json.loads(text)
        major, minor = _version(plain["format_version"])
    except (ValueError, KeyError, TypeError):
        raise InvalidFleet("this is no plan file", hint="make one with: unictl plan -out FILE") from None
    if major > _MAJOR:
        told = f"this plan file was written by a newer unictl: its format is {major}.{minor}, this one reads {_MAJOR}.x"
        raise InvalidFleet(told, hint=f"upgrade unictl, or {_AGAIN}")
    if _MINOR >= minor >= 1 and plain.get("hash") != _hash(plain):
        raise InvalidFleet("this plan file was changed after it was made", hint=_AGAIN)
    try:
        return _plan(plain)
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise InvalidFleet(f"this plan file is damaged: {problem!r}", hint=_AGAIN) from None


def _version(text: str) -> tuple[int, int]:
    major, minor = str(text).split(".")
    return int(major), int(minor)


def plan_hash(plan: Plan) -> str:
    """What identifies a plan, whatever is only shown of it."""
    return _hash(plan_json(plan))


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plain form of a plan, without its hashes. A launch document stands once, in its step."""
    plain = {each.name: getattr(plan, each.name) for each in fields(plan)}
    servers, remembered = _Servers(), _remembered(plan)
    return plain | {
        "format_version": FORMAT_VERSION,
        "revision": asdict(plan.revision),
        "changes": [_change_json(change) for change in plan.changes],
        "steps": [_step_json(step, servers, remembered) for step in plan.steps],
        "remembered": remembered,
        "membership": {host: servers.packed(services) for host, services in plan.membership.items()},
        "servers": servers.rows,
        "endpoints": [asdict(endpoint) for endpoint in plan.endpoints],
        "refusals": [_problem_json(problem) for problem in plan.refusals],
        "warnings": [_problem_json(problem) for problem in plan.warnings],
    }


def _hash(plain: Mapping[str, Any]) -> str:
    said = {key: value for key, value in plain.items() if key in _HASHED and value}
    return sha256(_canonical(said).encode()).hexdigest()


def _canonical(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class _Servers:
    """The servers of all ingress steps, each once: a listing of a thousand members is a thousand small numbers."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []
        self._known: dict[int, int] = {}

    def packed(self, services: Membership) -> dict[str, Any]:
        """The listeners with numbers for servers."""
        return {
            name: [{**row, "servers": self._numbers(row["servers"])} for row in rows] for name, rows in services.items()
        }

    def _numbers(self, servers: Iterable[Mapping[str, Any]]) -> list[int]:
        return [self._number(server) for server in servers]

    def _number(self, server: Mapping[str, Any]) -> int:
        # By identity: a rollout makes one row a member, and a loaded plan's rows come from one table.
        number = self._known.get(id(server))
        if number is None:
            number = self._known[id(server)] = len(self.rows)
            self.rows.append(server)
        return number


def _unpacked(services: Membership, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        name: [{**row, "servers": [rows[n] for n in row["servers"]]} for row in each] for name, each in services.items()
    }


def _sparse(value: Any) -> dict[str, Any]:
    """The fields of a value that are not at their default: most rows of a large plan say little."""
    found = ((each, getattr(value, each.name)) for each in fields(value))
    return {each.name: own for each, own in found if own != _default(each)}


def _default(each: Any) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


def _remembered(plan: Plan) -> Mapping[str, Any]:
    """What every host is to remember: every host of the fleet, so it stands once and not in each step."""
    return next((step.data for step in plan.steps if step.kind is Kind.REMEMBER), {})


def _step_json(step: Step, servers: _Servers, remembered: Mapping[str, Any]) -> dict[str, Any]:
    row = _sparse(step) | {"kind": step.kind.value}
    if step.kind is Kind.REMEMBER and step.data == remembered:
        del row["data"]
    if "services" in step.data:
        row["data"] = {**step.data, "services": servers.packed(step.data["services"])}
    return row


def _change_json(change: Change) -> dict[str, Any]:
    row = _sparse(change) | {"action": change.action.value}
    if change.fields:
        row["fields"] = [{"path": f.path, "old": f.old, "new": f.new} for f in change.fields]
    if change.old:
        row["old"] = _sparse(change.old)
    if change.new:
        row["new"] = _new_json(change.new)
    return row


def _new_json(new: Located) -> dict[str, Any]:
    wished = _sparse(new.wished) | {"ports": [_sparse(port) for port in new.wished.ports]}
    if new.document:
        del wished["spec"]
    return _sparse(new) | {"wished": wished, "document": new.key if new.document else None}


def _problem_json(problem: Diagnostic) -> dict[str, Any]:
    return asdict(problem) | {"severity": problem.severity.value}


def _plan(plain: Mapping[str, Any]) -> Plan:
    rows = plain["servers"]
    steps = tuple(_step(row, rows, plain.get("remembered", {})) for row in plain["steps"])
    documents = {s.subject: s.data["document"] for s in steps if s.kind is Kind.LAUNCH}
    known = {each.name: plain[each.name] for each in fields(Plan) if each.name in plain}
    return Plan(
        **known
        | {
            "revision": Revision(**plain["revision"]),
            "changes": tuple(_change(row, documents) for row in plain["changes"]),
            "steps": steps,
            "membership": {host: _unpacked(each, rows) for host, each in plain["membership"].items()},
            "endpoints": tuple(Endpoint(**row | {"hosts": tuple(row["hosts"])}) for row in plain["endpoints"]),
            "secrets": tuple(plain["secrets"]),
            "overrides": tuple(plain.get("overrides", ())),
            "waves": tuple(plain["waves"]),
            "tightest": {host: _amounts(row) for host, row in plain.get("tightest", {}).items()},
            "refusals": tuple(_problem(row) for row in plain["refusals"]),
            "warnings": tuple(_problem(row) for row in plain["warnings"]),
        }
    )


def _amounts(row: Mapping[str, Any]) -> Mapping[str, int]:
    """No hash covers them, so each is looked at."""
    return {each: index(row[each]) for each in AMOUNTS}


def _step(row: Mapping[str, Any], servers: Sequence[Mapping[str, Any]], remembered: Mapping[str, Any]) -> Step:
    data = row.get("data", remembered if row["kind"] == Kind.REMEMBER.value else {})
    if "services" in data:
        data = {**data, "services": _unpacked(data["services"], servers)}
    return Step(**_known(Step, row) | {"kind": Kind(row["kind"]), "needs": tuple(row.get("needs", ())), "data": data})


def _known(kind: Callable[..., Any], row: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: row[each.name] for each in fields(kind) if each.name in row}  # type: ignore[arg-type]


def _change(row: Mapping[str, Any], documents: Mapping[str, Any]) -> Change:
    old, new = row.get("old"), row.get("new")
    return Change(
        **_known(Change, row)
        | {
            "action": Action(row["action"]),
            "fields": tuple(Field(**field) for field in row.get("fields", ())),
            "origin": tuple(row.get("origin", ())),
            "old": _live(old) if old else None,
            "new": _located(new, documents) if new else None,
        }
    )


def _live(row: Mapping[str, Any]) -> LiveInstance:
    tuples = {key: tuple(row.get(key, ())) for key in ("forwards", "volumes", "images")}
    if row.get("checks") is not None:
        tuples["checks"] = tuple(row["checks"])
    return LiveInstance(**_known(LiveInstance, row) | tuples)


def _located(row: Mapping[str, Any], documents: Mapping[str, Any]) -> Located:
    document = documents[row["document"]] if row["document"] else {}
    spec = document.get("spec", row["wished"].get("spec"))
    ports = tuple(Port(**port) for port in row["wished"]["ports"])
    wished = Wished(**_known(Wished, row["wished"]) | {"spec": spec, "ports": ports})
    return Located(
        **_known(Located, row) | {"wished": wished, "document": document, "forwards": tuple(row["forwards"])}
    )


def _problem(row: Mapping[str, Any]) -> Diagnostic:
    bare = Diagnostic(**_known(Diagnostic, row) | {"severity": Severity(row["severity"]), "place": None, "related": ()})
    place = Place(**row["place"]) if row["place"] else None
    return replace(bare, place=place, related=tuple(Place(**each) for each in row["related"]))
