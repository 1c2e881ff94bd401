"""The audit: one row for every administrative act and every export, written in the transaction of the act itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.roles import READING, Account, require

Actor = Account | None
"""None is the command line of the machine that the store is on."""


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """Who did what to which thing, when."""

    at: datetime
    account_id: str | None
    action: str
    object_kind: str
    object_id: str
    details: Mapping[str, Any]


def write_audit(
    connection: sa.Connection, at: datetime, actor: Actor, action: str, what: tuple[str, str], details: Mapping[str, Any] | None = None
) -> None:
    """Add a row; `what` is the kind and the id of the thing. `details` holds no secrets and no texts of people."""
    account = actor.id if actor else None
    row = {"account_id": account, "action": action, "object_kind": what[0], "object_id": what[1], "details": dict(details or {})}
    connection.execute(sa.insert(schema.audit).values(id=new_id(), at=at, **row))


def read_audit(store: Store, actor: Account, *, before: datetime | None = None, limit: int = 100) -> list[AuditRow]:
    """The newest rows first, those before a moment if one is given. For administrators, leads and researchers."""
    require(actor, READING, "read the audit")
    query = sa.select(schema.audit).order_by(schema.audit.c.at.desc(), schema.audit.c.id).limit(limit)
    if before is not None:
        query = query.where(schema.audit.c.at < before)
    with store.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return [AuditRow(**{name: value for name, value in row.items() if name != "id"}) for row in rows]
