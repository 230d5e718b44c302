"""What each action of a plan looks like: the style words of ``views.spans``."""

from unictl.plan.change import Action

ACTIONS = {
    Action.DESTROY: "destroy",
    Action.REPLACE: "replace",
    Action.MOVE: "replace",
    Action.CREATE: "create",
    Action.ADJUST: "adjust",
    Action.UNKNOWN: "warning",
    Action.HELD: "warning",
}
