"""Backups: one file, whatever the database, made while people work, and put back into either database.

A backup is a SQLite store. Of a SQLite store it is a copy of the pages, of PostgreSQL a copy of the rows, as they were at one moment.
It holds hashes of passwords and everybody's texts: only its owner may read it.
"""

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from instructloop.errors import StoreError, first_line
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.copying import copy_everything
from instructloop.store.database.migration import shown, upgrade, upgrade_in
from instructloop.store.database.opening import Store, make_engine
from instructloop.store.durable import sync

MAGIC = b"SQLite format 3\0"
UNFINISHED = ("-wal", "-journal")
"""What SQLite may leave beside a store whose process was killed. It would write the leavings of one store into another of the same name."""


def backup(store: Store, file: Path, *, actor: Actor = None) -> Path:
    """Write a backup of the store as it is now; people go on working. The file appears complete or not at all.

    Raises `StoreError` if the file exists or its folder does not.
    """
    if file.exists() or not file.absolute().parent.is_dir():
        came = f"{file} exists" if file.exists() else f"there is no folder {file.absolute().parent}"
        raise StoreError(came, expected="a new file in a folder that exists", remedy="name another file")
    with store.writing() as connection:
        write_audit(connection, store.now(), actor, "backup", ("store", shown(store.engine)))
    with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=f".{file.name}.") as folder:
        unfinished = Path(folder) / "backup.db"
        _make_private(unfinished)
        if store.engine.dialect.name == "sqlite":
            with closing(store.engine.raw_connection()) as connection:
                _copy_pages(connection.driver_connection, unfinished)  # pyright: ignore[reportArgumentType] (the driver's own connection)
        else:
            _copy_rows(store, unfinished)
        _put_in_place(unfinished, file)
    return file


def restore(file: Path, place: str | Path) -> None:
    """Make a store at a new place, of either kind, from a backup of either kind; an older backup is brought up to date on the way.

    Raises `StoreError` if the file is no whole backup, or if there is anything at the place already. All is restored or nothing.
    """
    _require_backup(file)
    engine = make_engine(place)
    is_file = engine.dialect.name == "sqlite"
    target = Path(engine.url.database or "")
    if is_file:
        _require_nothing_at(target)
    with tempfile.TemporaryDirectory(dir=target.parent if is_file else None, prefix=".restoring.") as folder:
        copy = Path(folder) / "store.db"
        _make_private(copy)
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as source:
            _copy_pages(source, copy)
        copied = make_engine(copy)
        try:
            upgrade(copied)
            if not is_file:
                _fill(copied, engine)
        finally:
            copied.dispose()
            engine.dispose()
        if is_file:
            _put_in_place(copy, target)


def _require_nothing_at(target: Path) -> None:
    remains = [Path(f"{target}{ending}") for ending in UNFINISHED]
    if target.exists():
        raise StoreError(f"{target} exists", expected="a new place: nothing is overwritten", remedy="name another, or move it away")
    if left := [file for file in remains if file.exists()]:
        raise StoreError(
            f"{left[0]} exists: the last work of a store that was here",
            expected="a place where no store was",
            remedy=f"name another, or move it to where {target.name} went, under that name",
        )


def _fill(copied: sa.Engine, engine: sa.Engine) -> None:
    """An empty PostgreSQL database becomes a store with these rows, in one transaction."""
    try:
        with copied.connect() as source, engine.begin() as target:
            if sa.inspect(target).get_table_names():
                raise StoreError(f"{shown(engine)} holds tables", expected="an empty database: nothing is overwritten", remedy="name another")
            upgrade_in(target)
            copy_everything(source, target)
    except exc.OperationalError as error:
        raise StoreError(
            f"{shown(engine)} cannot be opened: {first_line(error.orig or error)}", expected="an empty database", remedy="correct the address"
        ) from error


def _copy_rows(store: Store, unfinished: Path) -> None:
    engine = make_engine(unfinished)
    try:
        upgrade(engine)
        with store.reading() as source, engine.begin() as target:
            copy_everything(source, target)
    finally:
        engine.dispose()


def _copy_pages(source: sqlite3.Connection, unfinished: Path) -> None:
    """SQLite's own online backup: all pages at once, so that writers do not make it begin anew."""
    with closing(sqlite3.connect(unfinished)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")


def _require_backup(file: Path) -> None:
    remedy = "name a file that `instructloop backup` made"
    if not file.is_file():
        raise StoreError(f"there is no file {file}", expected="a backup", remedy=remedy)
    with file.open("rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            raise StoreError(f"{file} is no backup", expected="a SQLite file", remedy=remedy)
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        raise StoreError(f"{file} is damaged or no store: {verdict}", expected="a whole backup", remedy="take another one")


def _make_private(file: Path) -> None:
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _put_in_place(unfinished: Path, file: Path) -> None:
    sync(unfinished)
    unfinished.rename(file)
    sync(file.absolute().parent)
