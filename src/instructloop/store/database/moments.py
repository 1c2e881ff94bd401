"""Moments in time, on every database the same: aware, in UTC, to the microsecond."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

Clock = Callable[[], datetime]
"""Says what time it is; tests hand in one that they can move."""


def utc_now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


class Moment(sa.types.TypeDecorator[datetime]):
    """A column of moments. SQLite knows no time zones: there they are kept as UTC without one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None, "moments carry their time zone"
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
