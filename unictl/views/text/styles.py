"""The style word of each action of a plan."""

from unictl.plan.model.change import Action

ACTION_STYLES = {
    Action.DESTROY: "destroy",
    Action.REPLACE: "replace",
    Action.MOVE: "replace",
    Action.CREATE: "create",
    Action.ADJUST: "adjust",
    Action.UNKNOWN: "warning",
    Action.HELD: "warning",
}
