"""The git commit of a fleet. A value of its own because it is known before a plan exists."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Which commit the fleet files are of; ``clean`` when every file read equals it. Empty commit: no repository."""

    commit: str = ""
    clean: bool = False
    subject: str = ""

    @property
    def label(self) -> str:
        """As records name it: the commit, with a ``+`` where the files read are not quite those of it."""
        return f"{self.commit}+" if self.commit and not self.clean else self.commit
