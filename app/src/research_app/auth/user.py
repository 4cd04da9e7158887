"""Who asks: a name and a role."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do; each role may do what those before it may."""

    READER = "reader"
    CURATOR = "curator"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Whether this role may do what needs that one."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class User:
    """Somebody who has signed in."""

    name: str  # never two people's, and never another's later on
    role: Role
    shown: str = ""  # how the pages call them

    @property
    def title(self) -> str:
        """What to call them."""
        return self.shown or self.name
