"""Who may do what on the page."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Role(str, Enum):
    """What somebody is. Looking at the operator's page needs no login; whatever changes something needs a name."""

    ANYONE = "anyone"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ENGINEER = "engineer"
    ADMIN = "admin"


_LINE = (Role.ANYONE, Role.OPERATOR, Role.SUPERVISOR, Role.ENGINEER)


def may(role: Role, needed: Role) -> bool:
    """Whether somebody may use what needs a role.

    An engineer may all that a supervisor may, and a supervisor all that an operator may. An admin looks after users and
    certificates, and changes nothing of the line.

    Args:
        role: What somebody is.
        needed: What is asked for.
    """
    if needed is Role.ANYONE or role is needed:
        return True
    if Role.ADMIN in (role, needed):
        return False
    return _LINE.index(role) >= _LINE.index(needed)


@dataclass(frozen=True)
class User:
    """Whoever sends a request.

    Attributes:
        name: "" for somebody who is not logged in.
        role: What somebody is.
        address: Where the request came from.
    """

    name: str = ""
    role: Role = Role.ANYONE
    address: str = ""
