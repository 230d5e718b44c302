"""The steps that roll a service back after one of its waves failed, from what had started by then. Pure.

The failed wave is rolled back first, then the completed ones, the last one first; each once the one before has
finished, and with no more instances at once than in the rollout. Create-first: launch the previous instance, health
gate, join, the new ones leave, retire. Stop-first: the new ones leave, retire, launch the previous, health gate,
join.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unictl.plan.model.step import Kind, Step
from unictl.plan.rollout.builder import Draft, Ids
from unictl.plan.rollout.step_factory import GRACE

_INGRESS = (Kind.JOIN, Kind.LEAVE)
Row = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Rolled:
    """One wave as far as it came: its row in the plan, its steps, and which of these had begun or ended well."""

    row: Row
    steps: list[Step] = field(default_factory=list)
    begun: Container[str]
    done: Container[str]

    @property
    def whole(self) -> bool:
        """Whether all of it ended well."""
        return all(step.id in self.done for step in self.steps)

    @property
    def touched(self) -> bool:
        """Whether anything of it began."""
        return any(step.id in self.begun for step in self.steps)

    def has_begun(self, kind: Kind) -> bool:
        """Whether a step of this kind began."""
        return any(step.kind is kind and step.id in self.begun for step in self.steps)

    def retired(self, key: str) -> bool:
        """Whether this generation was being taken down, or is."""
        return any(s.kind is Kind.RETIRE and s.data["key"] == key and s.id in self.begun for s in self.steps)

    def new(self) -> dict[str, str]:
        """The new generations that may be there: key -> host."""
        return {generation(s): s.host for s in self.steps if s.kind in _MAKING and s.id in self.begun}

    def olds(self) -> list[str]:
        """The generations that it takes down."""
        return [str(step.data["key"]) for step in self.steps if step.kind is Kind.RETIRE]

    def proven(self, key: str) -> bool:
        """Whether a new generation passed its gate."""
        return any(s.kind is Kind.PROVE and s.data["key"] == key and s.id in self.done for s in self.steps)


_MAKING = (Kind.LAUNCH, Kind.PROVE)


def generation(step: Step) -> str:
    """The key of what a launch or a proof is about."""
    document = step.data.get("document")
    return f"{document['name']}.{document['generation']}" if document else str(step.data["key"])


def rolled(waves: Iterable[Row], steps: Iterable[Step], begun: Container[str], done: Container[str]) -> list[Rolled]:
    """The waves of one service, the last one first."""
    found = {int(row["wave"]): Rolled(row=row, begun=begun, done=done) for row in waves}
    for step in steps:
        if step.wave in found and step.kind is not Kind.BARRIER and not step.undo:
            found[step.wave].steps.append(step)
    return [found[number] for number in sorted(found, reverse=True)]


def way_back(
    waves: Sequence[Rolled], ingresses: Sequence[str], *, mute: frozenset[str] | None = None
) -> tuple[Step, ...]:
    """The steps. ``ingresses``: the hosts whose ingress the service's steps write.

    ``mute``: the hosts that fell silent, where nobody knows how it went (None: it did not fail by that). Nothing is
    done there, and elsewhere only what nobody was sent to is removed.
    """
    blind, mute = mute is not None, mute or frozenset()
    back = _Back([host for host in ingresses if host not in mute], mute)
    returning = any(row["differs"] for wave in waves for row in wave.row["undo"]["back"])
    for wave in (wave for wave in waves if wave.touched):
        if not wave.whole:
            if not (blind and wave.has_begun(Kind.JOIN)):
                back.failed(wave)
        elif wave.row["undo"]["revert"] and returning and not blind:
            back.ended(wave)
    return back.draft.steps()


class _Back:
    """A way back in the making; ``last`` is what stands for the end of all of it so far."""

    def __init__(self, ingresses: Sequence[str], mute: frozenset[str]):
        self.ingresses = ingresses
        self.mute = mute
        self.draft = Draft()
        self.last: Ids = ()
        self.count = 0

    def failed(self, wave: Rolled) -> None:
        """The wave that failed: who left an ingress already is back there, its new ones go, and what had to go before
        them is launched anew."""
        undo, new = wave.row["undo"], wave.new()
        if wave.has_begun(Kind.LEAVE):
            self._join(wave, [row for key, row in undo["servers"].items() if not wave.retired(key)], self.last)
        bereft = {_name(key) for key in wave.olds() if wave.retired(key)} & set(undo["stays"])
        kept = {key for key in new if _name(key) in bereft and wave.proven(key)}
        new = {key: host for key, host in new.items() if key not in kept and host not in self.mute}
        # What an earlier apply launched may be behind an ingress already, whatever is known of it.
        self._remove(wave, new, joined=wave.has_begun(Kind.JOIN) or bool(set(new) & set(undo["found"])))
        gone = [row for row in undo["back"] if wave.retired(row["old"]) and row["host"] not in self.mute]
        for rows in _cut(gone, int(undo["down"])):
            self._return(wave, rows)

    def ended(self, wave: Rolled) -> None:
        """A wave that was done: who was something else becomes that again; who was nothing goes."""
        undo, new = wave.row["undo"], wave.new()
        rows = [row for row in undo["back"] if row["differs"]]
        beside = [row for row in rows if not row["stop"]]
        for group in _cut(beside, int(undo["beside"])):
            self._return(wave, group)
            self._remove(wave, {row["new"]: new[row["new"]] for row in group})
        for group in _cut([row for row in rows if row["stop"]], int(undo["down"])):
            self._remove(wave, {row["new"]: new[row["new"]] for row in group})
            self._return(wave, group)
        self._remove(wave, {key: new[key] for key in undo["fresh"] if key in new})

    def _return(self, wave: Rolled, rows: Sequence[Row]) -> None:
        """Launch what was, prove it, put it behind every ingress."""
        proven = []
        for row in rows:
            data = {"document": row["document"], "secrets": row["secrets"]}
            launched = self._own(wave, f"launch:{row['key']}", Kind.LAUNCH, row["host"], self.last, data, row["key"])
            proven.append(
                self._own(wave, f"prove:{row['key']}", Kind.PROVE, row["host"], (launched,), row["proof"], row["key"])
            )
        ready = self._barrier(proven)
        self._join(wave, [row["servers"] for row in rows], ready)

    def _remove(self, wave: Rolled, keys: Mapping[str, str], *, joined: bool = True) -> None:
        """Out of every ingress, then down."""
        if not keys:
            return
        if joined:
            swap = {"in": {}, "out": sorted(keys)}
            self._write(wave, Kind.LEAVE, {"swap": {wave.row["service"]: swap}, "drain": wave.row["drain"]}, self.last)
        data = {"grace": GRACE, "keep": 5}
        ends = [
            self._own(wave, f"retire:{key}", Kind.RETIRE, host, self.last, {**data, "key": key}, key)
            for key, host in keys.items()
        ]
        self.last = self._barrier(ends)

    def _join(self, wave: Rolled, servers: Iterable[Mapping[str, Any]], needs: Ids) -> None:
        listed: defaultdict[str, list[Any]] = defaultdict(list)
        for each in servers:
            for listener, row in each.items():
                listed[listener].append(row)
        self.last = needs
        if listed:
            swap = {"in": dict(listed), "out": []}
            self._write(wave, Kind.JOIN, {"swap": {wave.row["service"]: swap}}, needs)

    def _write(self, wave: Rolled, kind: Kind, data: Row, needs: Ids) -> None:
        """One ingress step a host; nothing where the service is behind none."""
        service = wave.row["service"]
        self.count += 1
        ends = [
            self._own(wave, f"{kind.value}:{host}:{service}:{self.count}", kind, host, needs, data, service)
            for host in self.ingresses
        ]
        self.last = self._barrier(ends) if ends else needs

    def _own(self, wave: Rolled, id_: str, kind: Kind, host: str, needs: Ids, data: Row, subject: str) -> str:
        row = wave.row
        return self.draft.add(
            Step(
                id=f"back:{id_}",
                kind=kind,
                host=host,
                subject=subject,
                service=row["service"],
                wave=row["wave"],
                undo=True,
                data=data,
                needs=needs,
            )
        )

    def _barrier(self, needs: Iterable[str]) -> Ids:
        ids = tuple(needs)
        if len(ids) <= 1:
            return ids
        self.count += 1
        name = f"back:barrier:{self.count}:{ids[0]}"
        return (self.draft.add(Step(id=name, kind=Kind.BARRIER, subject=name, undo=True, needs=ids)),)


def _name(key: str) -> str:
    return key.partition(".")[0]


def _cut(rows: Sequence[Row], size: int) -> list[Sequence[Row]]:
    return [rows[at : at + size] for at in range(0, len(rows), max(1, size))]
