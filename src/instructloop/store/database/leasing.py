"""What tasks and jobs share: taking the first free row of a table so that nobody else gets it too.

The row is locked while it is looked at, and what says that it is taken stands in the row itself. A count of other rows would
be read from the moment before the lock. On SQLite the whole transaction holds the only write lock.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

Query = sa.Select[*tuple[Any, ...]]

WAITS = 3
"""Times to wait for rows that others hold locked, before there is said to be none free."""


def lock_first(connection: sa.Connection, query: Query, values: Mapping[str, object] | None = None) -> sa.RowMapping | None:
    """The first row of the query with these values, locked to the end of the transaction; None if there is none.

    Rows that others hold locked are passed over; only if that leaves none are they waited for, as their holders may let them go.
    """
    for wait in (False, *(True,) * WAITS):
        row = connection.execute(_locking(query, wait=wait), values).mappings().first()
        if row is not None or connection.dialect.name == "sqlite":
            return row
        if connection.execute(query.limit(1), values).first() is None:
            return None
    return None


@lru_cache(maxsize=16)
def _locking(query: Query, *, wait: bool) -> Query:
    """Kept, because making a statement takes longer than executing it."""
    return query.limit(1).with_for_update(skip_locked=not wait)
