"""Bringing a database to the version of this release, one revision after another, by Alembic."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import exc

from instructloop.errors import StoreError, first_line

SCRIPTS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version"
_UPGRADE_LOCK = 7_414_011_955
"""Any number: who upgrades a PostgreSQL database holds the advisory lock of this name."""


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Bring the database to `revision` in one transaction; a database without tables is made.

    Raises `StoreError` if it cannot be opened, holds something else, or was made by a newer release.
    """
    try:
        with engine.begin() as connection:
            upgrade_in(connection, revision)
    except exc.DBAPIError as error:
        raise StoreError(
            f"the store {shown(engine)} cannot be opened: {first_line(error.orig or error)}",
            expected="a feedback database that can be read and written",
            remedy="check the path or address, and who may write there",
        ) from error


def upgrade_in(connection: sa.Connection, revision: str = "head") -> None:
    """The same in a transaction that is open; who else wants to upgrade the database waits for its end."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
    _upgrade(connection, revision)


def revisions() -> list[str]:
    """Every revision, the oldest first."""
    return [script.revision for script in reversed(list(_scripts().walk_revisions()))]


def current_revision(connection: sa.Connection) -> str | None:
    """The revision a database is at; None for one that is no store."""
    return MigrationContext.configure(connection).get_current_revision()


def shown(engine: sa.Engine) -> str:
    """Where a database is, without its password."""
    return engine.url.database or "" if engine.dialect.name == "sqlite" else engine.url.render_as_string(hide_password=True)


def _upgrade(connection: sa.Connection, revision: str) -> None:
    scripts, known = _scripts(), revisions()
    current = current_revision(connection)
    if current is not None and current not in known:
        raise StoreError(
            f"the store {shown(connection.engine)} has the version {current!r}, which this release does not know",
            expected=f"the version {known[-1]!r} or an older one",
            remedy="upgrade instructloop, or restore a backup that an older release made",
        )
    if current is None and (others := sa.inspect(connection).get_table_names()):
        raise StoreError(
            f"{shown(connection.engine)} holds other tables: {', '.join(others[:5])}", expected="an empty database", remedy="give another one"
        )
    if current == (known[-1] if revision == "head" else revision):
        return

    def steps(heads: Sequence[str], _: MigrationContext) -> Any:
        return scripts._upgrade_revs(revision, heads)  # pyright: ignore[reportPrivateUsage, reportArgumentType] (what `alembic upgrade` calls)

    context = MigrationContext.configure(connection, opts={"fn": steps, "transactional_ddl": True})
    with Operations.context(context):
        context.run_migrations()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(SCRIPTS))
