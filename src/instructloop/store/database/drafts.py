"""Drafts: what a person has typed and not submitted. Versioned, so that two tabs cannot overwrite each other unnoticed.

A lease has one at a time: of the answer while the task is in hand, which ends with the submission; of a revision afterwards.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from instructloop.errors import Conflict
from instructloop.store.database import schema
from instructloop.store.database.leases import find_lease, hold
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import Account
from instructloop.store.database.texts import checked_json

_OF_LEASE = sa.select(schema.drafts).where(schema.drafts.c.lease_id == sa.bindparam("this_lease"))


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The latest version of what was typed."""

    lease_id: str
    version: int
    body: Any
    """As the page gave it; nothing of it is checked but its size and that it is JSON."""
    saved_at: datetime


class StaleDraft(Conflict):
    """Somebody, perhaps oneself in another tab, has saved another version meanwhile."""

    def __init__(self, stored: Draft | None) -> None:
        there = f"version {stored.version}" if stored else "no draft"
        super().__init__(f"there is {there} in the store", expected="the version that your text began from", remedy="keep yours, or take theirs")
        self.stored = stored
        """What is in the store: for "take theirs". To "keep mine", save again with its version."""


def save_draft(store: Store, actor: Account, lease_id: str, body: Any, *, version: int) -> Draft:
    """Keep what was typed, and the task with it: saving is a sign of life. `version` is the one it began from, 0 for none.

    Saving the same text again, as after a lost reply, changes nothing and gives the stored draft. Raises `StaleDraft` with
    the stored draft, `NotFound` for somebody else's lease, `LeaseLost` if the lease is over for good.
    """
    checked_json(body, "the draft")
    with store.writing() as connection:
        now = store.now()
        lease = hold(connection, now, actor, lease_id)
        return write_draft(connection, now, lease.id, body, version=version)


def write_draft(connection: sa.Connection, now: datetime, lease_id: str, body: Any, *, version: int) -> Draft:
    """The next version of a draft, in a transaction that holds its lease. Raises `StaleDraft` as `save_draft` does."""
    drafts, stored = schema.drafts, find_draft(connection, lease_id)
    if stored is not None and stored.version == version + 1 and stored.body == body:
        return stored
    if (stored.version if stored else 0) != version:
        raise StaleDraft(stored)
    row = {"version": version + 1, "body": body, "saved_at": now}
    this = drafts.c.lease_id == lease_id
    connection.execute(sa.update(drafts).where(this).values(**row) if stored else sa.insert(drafts).values(lease_id=lease_id, **row))
    return Draft(lease_id=lease_id, version=version + 1, body=body, saved_at=now)


def read_draft(store: Store, actor: Account, lease_id: str) -> Draft | None:
    """One's own draft, also of a lease that is over; None if there is none. Raises `NotFound` for somebody else's lease."""
    with store.reading() as connection:
        return find_draft(connection, find_lease(connection, actor, lease_id, lock=False).id)


def find_draft(connection: sa.Connection, lease_id: str) -> Draft | None:
    """The draft of a lease, read on a connection that is open."""
    row = connection.execute(_OF_LEASE, {"this_lease": lease_id}).mappings().first()
    return Draft(**row) if row else None
