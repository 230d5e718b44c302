"""Options that narrow a plan or force changes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """``target`` and ``exclude`` are selectors; ``replace`` names instances or services that get a new generation.

    ``destroy`` takes all of the fleet down; ``allow_destroy`` raises the budget to that many; ``allow_volumes`` are
    the volumes that may be deleted, by name, ``deleted`` those of them that an earlier apply was told to delete;
    ``allow_changes`` raises the bound on changes to that many; ``retry``
    tries again what failed before; ``rebalance`` moves what may move, until it is spread evenly.
    """

    target: str = ""
    exclude: str = ""
    replace: tuple[str, ...] = ()
    destroy: bool = False
    allow_destroy: int | None = None
    allow_changes: int | None = None
    allow_volumes: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    retry: bool = False
    rebalance: bool = False
