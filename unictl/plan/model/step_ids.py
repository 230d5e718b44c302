"""Makes every step id, and tells which step an id names. Ids are for people and as keys; nothing else reads their text.

A step of a plan: ``launch:api-2.7f3c9a1b``, ``join:hv1:api:1``. A barrier: ``healthy:api``, ``wave:api:1``. A step of
a rollback: ``back:`` and the id of a step.
"""

from unictl.plan.model.step import StepId, StepKind

ALL_HEALTHY = StepId("healthy:*")
"""The barrier after which every service that stays is healthy."""
SUPERFLUOUS_INGRESSES_STOPPED = StepId("stopped:ingress")
"""The barrier after which no host runs an ingress that is to have none."""
_DIGEST_LENGTH = 16


def step_id(kind: StepKind, *parts: str | int) -> StepId:
    """The id of a step: its kind and what tells it apart from others of its kind, such as its host and a volume."""
    return StepId(":".join((kind.value, *map(str, parts))))


def stage_id(host: str, digest: str) -> StepId:
    """Bring an image to a host."""
    return step_id(StepKind.STAGE, host, digest[:_DIGEST_LENGTH])


def launch_id(key: str) -> StepId:
    """Launch a generation."""
    return step_id(StepKind.LAUNCH, key)


def health_gate_id(key: str) -> StepId:
    """Wait until a generation is healthy."""
    return step_id(StepKind.PROVE, key)


def retire_id(key: str) -> StepId:
    """Stop a generation and keep only its record."""
    return step_id(StepKind.RETIRE, key)


def whole_ingress_id(host: str) -> StepId:
    """Write the ingress of a host for all services at once, or stop it."""
    return step_id(StepKind.JOIN, host)


def ingress_id(kind: StepKind, host: str, service: str, number: int) -> StepId:
    """Add or remove members of a service on a host; ``number`` tells these steps apart."""
    return step_id(kind, host, service, number)


def start_barrier_id(service: str) -> StepId:
    """Everything that has to be over before the first launch of a service."""
    return StepId(f"start:{service}")


def healthy_barrier_id(service: str) -> StepId:
    """Everything that is launched of a service is healthy and behind its ingresses."""
    return StepId(f"healthy:{service}")


def staged_barrier_id(service: str, wave: int) -> StepId:
    """The images and volumes of a wave are there."""
    return StepId(f"staged:{service}:{wave}")


def proven_barrier_id(service: str, wave: int) -> StepId:
    """Every new instance of a wave is healthy."""
    return StepId(f"proven:{service}:{wave}")


def ready_barrier_id(service: str, wave: int) -> StepId:
    """Instances that are behind no ingress may be stopped."""
    return StepId(f"ready:{service}:{wave}")


def left_barrier_id(service: str, wave: int) -> StepId:
    """The previous instances of a wave are behind no ingress any more."""
    return StepId(f"left:{service}:{wave}")


def wave_barrier_id(service: str, wave: int) -> StepId:
    """A wave is over."""
    return StepId(f"wave:{service}:{wave}")


def unneeded_barrier_id(service: str) -> StepId:
    """Whatever needs a service that is removed is gone."""
    return StepId(f"unneeded:{service}")


def gone_barrier_id(service: str) -> StepId:
    """Everything that is removed of a service is gone."""
    return StepId(f"gone:{service}")


def done_barrier_id(host: str) -> StepId:
    """Everything else that is done on a host is over."""
    return StepId(f"done:{host}")


def rollback_id(forward_id: StepId) -> StepId:
    """The step of a rollback that does what the step ``forward_id`` does in a rollout."""
    return StepId(f"back:{forward_id}")


def rollback_barrier_id(number: int, first_need: StepId) -> StepId:
    """A barrier of a rollback."""
    return StepId(f"back:barrier:{number}:{first_need}")


def next_id(taken_id: StepId) -> StepId:
    """The id to try where ``taken_id`` is another barrier's."""
    return StepId(f"{taken_id}+")


def second_id(taken_id: StepId, qualifier: str) -> StepId:
    """The id of a second step that would be called ``taken_id``: the same generation may be on two hosts."""
    return StepId(f"{taken_id}@{qualifier}")
