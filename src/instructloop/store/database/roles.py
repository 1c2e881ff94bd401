"""Who may do what. Every function that acts for a person takes their `Account` and refuses what the role does not allow.

administrator   everything
lead            queues, tasks, leases, labels and people's invitations as labelers; revises others' labels
labeler         leases tasks and submits
researcher      reads and exports
playground      asks models, and looks after their own prompts
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import sqlalchemy as sa

from instructloop.errors import AccessDenied, DataError

Role = Literal["administrator", "lead", "labeler", "researcher", "playground"]
ROLES: tuple[Role, ...] = get_args(Role)

LEADING: tuple[Role, ...] = ("administrator", "lead")
"""Who runs the labeling."""
READING: tuple[Role, ...] = ("administrator", "lead", "researcher")
"""Who sees everybody's data, and exports it."""
LABELING: tuple[Role, ...] = ("administrator", "lead", "labeler", "researcher")
"""Who may be given tasks; researchers answer the gold ones."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A person, as the store knows them."""

    id: str
    name: str
    role: Role
    held_out: bool
    """A labeler whose labels never train."""
    created_at: datetime
    disabled_at: datetime | None = None


def account_of(row: sa.RowMapping) -> Account:
    """The account in a row of the table."""
    values: dict[str, Any] = {name: row[name] for name in ("id", "name", "role", "held_out", "created_at", "disabled_at")}
    return Account(**values)


def require(actor: Account, roles: tuple[Role, ...], act: str) -> None:
    """Raise `AccessDenied` unless the actor has one of the roles; `act` says what they wanted, as in "export labels"."""
    if actor.role not in roles:
        raise AccessDenied(f"{actor.name!r}, a {actor.role}, may not {act}", expected=f"a {' or '.join(roles)}", remedy="ask one of them")


def require_self(actor: Account, owner: str | None, roles: tuple[Role, ...], act: str) -> None:
    """Raise `AccessDenied` unless the actor owns the thing (`owner` is their id) or has one of the roles."""
    if actor.id != owner:
        require(actor, roles, act)


def known_role(text: str) -> Role:
    """The role of this name; raises `DataError` for another word."""
    for role in ROLES:
        if role == text:
            return role
    raise DataError(f"the role {text!r}", expected=f"one of {', '.join(ROLES)}", remedy="correct it")
