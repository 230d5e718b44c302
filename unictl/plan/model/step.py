"""One operation on one host, as data. `execution` carries it out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from unictl.plan.model.step_ids import StepId, StepIds


class StepKind(Enum):
    """The step kinds.

    stage      data: digest, size                       an image's bytes to the host
    volume     data: volume, size                       create an empty volume
    launch     data: document (Located.document), secrets: names
    prove      data: key, probes, min_healthy_time, healthy_deadline; job: true where a clean end is health
    join       data: services {name: listeners JSON}    these services' listeners after it (new ones in, old ones still)
    leave      data: services {...}, drain              these services' listeners after it (old ones out)
               of an undo step, data: swap {service: {in: {listener: servers}, out: keys}}, drain
    retire     data: key, grace, keep
    mark       data: key, protect, commit; checks where they are noted anew
    delete     data: volume                             a named volume is deleted
    remember   data: policy, hosts                      what was last applied; fleet: what it is called from now on
    close      data: -                                  the fleet leaves the host: ingress stopped, its files removed
    barrier    no action; edges go through it (healthy:SERVICE, wave:SERVICE:N)
    """

    STAGE = "stage"
    VOLUME = "volume"
    LAUNCH = "launch"
    PROVE = "prove"
    JOIN = "join"
    LEAVE = "leave"
    RETIRE = "retire"
    MARK = "mark"
    DELETE = "delete"
    REMEMBER = "remember"
    CLOSE = "close"
    BARRIER = "barrier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node of the plan's graph.

    ``id`` is readable and unique, e.g. ``launch:api-2.7f3c9a1b``, ``join:hv1:api:1``; ``service_order`` are ids of
    steps that must have ended well before this one begins. ``wave`` counts from 1 within ``service``;
    0 is what makes way before the first. ``rollback_record``: it takes a wave back, and is walked only where one has
    failed.
    """

    id: StepId
    kind: StepKind
    host: str = ""
    subject: str = ""
    service: str = ""
    wave: int = 0
    undo: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    needs: StepIds = ()
