"""Opening a feedback database: SQLite by default, PostgreSQL for teams. A new one is made, an old one brought up to date.

store = open_store("feedback.db")
store = open_store("postgresql+psycopg://user:password@host/name")
with store.writing() as connection: ...
"""

import random
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from instructloop.errors import Conflict, MissingExtra, StoreError, first_line
from instructloop.store.database.migration import upgrade
from instructloop.store.database.moments import Clock, utc_now
from instructloop.store.database.turns import turn

SQLITE, POSTGRES = "sqlite", "postgresql+psycopg"
LOCK_WAIT_MS = 5000
"""How long a writer waits for another on SQLite before it is told that the database is locked."""
CONNECTIONS = 20
"""Connections kept open; as many more are made when all are busy."""

ID_BYTES = 12

_MODE = "instructloop_mode"
_DRAWN: ContextVar[random.Random | None] = ContextVar("drawn", default=None)


@dataclass(frozen=True, kw_only=True)
class Store:
    """An open feedback database. Safe to share between threads; open one per process."""

    engine: sa.Engine
    clock: Clock = utc_now

    def now(self) -> datetime:
        """The present moment by the clock of the store, in UTC."""
        return self.clock()

    @contextmanager
    def reading(self) -> Generator[sa.Connection]:
        """A connection on which everything read is of one moment."""
        with self._connect("read") as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = False) -> Generator[sa.Connection]:
        """A transaction: all of it is written, or, if an exception leaves the block, nothing.

        Survives the end of the process in any case; with `durable` on SQLite also a power cut right after it. Raises `Conflict`
        if somebody else has written a row meanwhile that there may be only once.
        """
        try:
            with self._connect("durable" if durable else "write") as connection, turn(self.engine), connection.begin():
                yield connection
        except exc.IntegrityError as error:
            if not _is_there_already(error):
                raise
            raise Conflict("somebody else has just written the same", expected="one of the two", remedy="look at what is there now") from error

    @contextmanager
    def _connect(self, mode: str) -> Generator[sa.Connection]:
        options: dict[str, Any] = {_MODE: mode}
        if mode == "read" and self.engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self.engine.connect() as connection:
            yield connection.execution_options(**options)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def open_store(place: str | Path, *, clock: Clock = utc_now) -> Store:
    """The store at a path (SQLite) or a URL `postgresql+psycopg://…`, made or brought up to date if need be.

    Raises `StoreError` for a place that cannot be opened, a database that is no store, and one of a newer version.
    """
    store = Store(engine=make_engine(place), clock=clock)
    try:
        with turn(store.engine):  # two who open a new store at once would both want to set its journal
            upgrade(store.engine)
    except BaseException:
        store.close()
        raise
    return store


def make_engine(place: str | Path) -> sa.Engine:
    """An engine for a path or URL, with what each database needs for many writers at once; nothing is opened yet."""
    url = _url(place)
    if url.drivername == SQLITE:
        engine = sa.create_engine(url, pool_size=CONNECTIONS, max_overflow=CONNECTIONS)
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
        return engine
    try:
        return sa.create_engine(url, pool_size=CONNECTIONS, max_overflow=CONNECTIONS, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise MissingExtra("psycopg", "postgres") from error


def new_id() -> str:
    """A random id: 24 hexadecimal digits, safe in addresses and file names."""
    drawn = _DRAWN.get()
    return secrets.token_hex(ID_BYTES) if drawn is None else drawn.randbytes(ID_BYTES).hex()


@contextmanager
def repeatable_ids(seed: int) -> Generator[None]:
    """Within the block this thread's ids are the same each time: for examples, and for nothing that people rely on.

    What hangs on the id of a lease, the order of answers and whether a task is gold or comes again, is the same too.
    """
    token = _DRAWN.set(random.Random(seed))
    try:
        yield
    finally:
        _DRAWN.reset(token)


def _url(place: str | Path) -> sa.URL:
    text = str(place)
    if "://" not in text:
        path = Path(text)
        if path.is_dir() or not path.absolute().parent.is_dir():
            came = f"{path} is a folder" if path.is_dir() else f"there is no folder {path.absolute().parent}"
            raise StoreError(came, expected="a file, or a path in a folder that exists", remedy="correct the path of the store")
        return sa.URL.create(SQLITE, database=str(path.absolute()))
    try:
        url = sa.make_url(text)
    except (exc.ArgumentError, ValueError) as error:
        raise StoreError(f"the store is at no address: {first_line(error)}", expected=_PLACES, remedy="correct it") from error
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername=POSTGRES)
    if url.drivername not in (SQLITE, POSTGRES) or not url.database:
        raise StoreError(f"the store is at {url.render_as_string(hide_password=True)}", expected=_PLACES, remedy="correct it")
    return url


def _on_sqlite_connect(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own: see _on_sqlite_begin
    # secure_delete: a text that its author has erased must not stay in free pages of the file.
    for pragma in (f"busy_timeout = {LOCK_WAIT_MS}", "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _on_sqlite_begin(connection: sa.Connection) -> None:
    """Writers queue up at the beginning; one that read first and wrote later could be refused in the middle."""
    mode = connection.get_execution_options().get(_MODE, "write")
    if mode != "read":
        connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if mode == 'durable' else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN" if mode == "read" else "BEGIN IMMEDIATE")


def _is_there_already(error: exc.IntegrityError) -> bool:
    """Whether a row was refused because another agrees with it in what is unique; other constraints are broken by mistakes of ours."""
    unique = "23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"
    return any(getattr(error.orig, name, None) in unique for name in ("sqlstate", "sqlite_errorname"))


_PLACES = "the path of a file, or postgresql+psycopg://user:password@host/name"
