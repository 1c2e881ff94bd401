"""Backups, exports and migrations: what is in the store survives them, to the last row."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from instructloop.errors import AccessDenied, DataError, StoreError
from instructloop.store.database import migration, raw_export, schema
from instructloop.store.database.accounts import create_account
from instructloop.store.database.backup import backup, restore
from instructloop.store.database.opening import Store, make_engine, open_store
from instructloop.store.jsonl import read_jsonl, write_jsonl
from store.database.filled import fill
from store_world import PlaceMaker, World


def content(store: Store, *, without: frozenset[str] = frozenset()) -> dict[str, list[dict[str, Any]]]:
    """Table -> its rows."""
    with store.reading() as connection:
        return {
            table.name: [
                {str(name): value for name, value in row.items()}
                for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns)).mappings()
            ]
            for table in schema.METADATA.sorted_tables
            if table.name not in without
        }


def everything(place: str, **named: Any) -> dict[str, list[dict[str, Any]]]:
    store = open_store(place)
    try:
        return content(store, **named)
    finally:
        store.close()


def test_the_example_fills_every_table_that_it_can(world: World) -> None:
    fill(world)
    assert {name for name, rows in content(world.store).items() if not rows} == {"sessions", "snapshots", "snapshot_rows"}


def test_a_backup_restored_is_the_same_store(world: World, new_place: PlaceMaker, tmp_path: Path) -> None:
    fill(world)
    file = backup(world.store, tmp_path / "backup.db")
    assert file.stat().st_mode & 0o077 == 0, "it holds everybody's texts"
    before = content(world.store)
    restore(file, tmp_path / "restored.db")
    assert everything(str(tmp_path / "restored.db")) == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_backup_goes_into_either_database(world: World, postgres: Any, tmp_path: Path) -> None:
    fill(world)
    file, before = backup(world.store, tmp_path / "backup.db"), content(world.store)
    url = postgres.new_database()
    restore(file, url)
    assert everything(url) == before
    with pytest.raises(StoreError, match="holds tables"):
        restore(file, url)
    postgres.drop_database(url)


def test_nothing_is_overwritten_and_nothing_else_is_restored(world: World, tmp_path: Path) -> None:
    file = backup(world.store, tmp_path / "backup.db")
    with pytest.raises(StoreError, match="exists"):
        backup(world.store, file)
    taken = tmp_path / "taken.db"
    taken.write_text("mine")
    with pytest.raises(StoreError, match="exists"):
        restore(file, taken)
    assert taken.read_text() == "mine"
    with pytest.raises(StoreError, match="no backup"):
        restore(taken, tmp_path / "new.db")
    torn = tmp_path / "torn.db"
    torn.write_bytes(file.read_bytes()[:20_000])
    with pytest.raises(StoreError, match="damaged"):
        restore(torn, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_what_a_killed_store_has_left_does_not_come_into_the_restored_one(world: World, tmp_path: Path) -> None:
    """Somebody moves the broken store away, but not the file beside it, which SQLite would write into whatever is called so next."""
    file, place = backup(world.store, tmp_path / "backup #1.db"), tmp_path / "feedback.db"
    program = f"import os; from instructloop.store.database.opening import open_store; open_store({str(place)!r}); os._exit(9)"
    subprocess.run([sys.executable, "-c", program], check=False)
    place.rename(tmp_path / "broken.db")
    assert (tmp_path / "feedback.db-wal").stat().st_size > 0
    with pytest.raises(StoreError, match=r"feedback\.db-wal exists"):
        restore(file, place)
    assert not place.exists()
    (tmp_path / "feedback.db-wal").rename(tmp_path / "broken.db-wal")
    before = content(world.store)
    restore(file, place)
    assert everything(str(place)) == before


def test_a_backup_is_of_one_moment_while_people_write(world: World, tmp_path: Path) -> None:
    """A prompt and its consent are written together: no backup holds one without the other."""
    person, stop = world.person("playground"), threading.Event()

    def write() -> None:
        while not stop.is_set():
            world.prompt("again", author=person)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        files = [backup(world.store, tmp_path / f"backup{number}.db") for number in range(3)]
    finally:
        stop.set()
        writer.join()
    counts = []
    for file in files:
        held = everything(str(file))
        assert [row["prompt_id"] for row in held["consents"]] or counts == []
        assert {row["prompt_id"] for row in held["consents"]} == {row["id"] for row in held["prompts"]}
        counts.append(len(held["prompts"]))
    assert counts == sorted(counts)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_an_export_imported_gives_the_same_rows(world: World, new_place: PlaceMaker, tmp_path: Path, kind: Any) -> None:
    fill(world)
    counts = raw_export.export_store(world.store, None, tmp_path / "export", kind=kind)
    other = open_store(new_place())
    assert raw_export.import_store(other, None, tmp_path / "export") == counts
    theirs, ours = (content(store, without=raw_export.SECRET_TABLES) for store in (other, world.store))
    imported = [row for row in theirs["audit"] if row["action"] == "import"]
    assert len(imported) == 1
    theirs["audit"].remove(imported[0])
    for row in ours["accounts"]:
        row["password_hash"] = None
    assert theirs == ours
    assert set(raw_export.import_store(other, None, tmp_path / "export").values()) == {0}, "a second time, nothing is new"
    other.close()


def test_no_export_lets_anybody_in(world: World, tmp_path: Path) -> None:
    world.person("labeler", "with password", password="correct horse battery")
    fill(world)
    raw_export.export_store(world.store, None, tmp_path / "export")
    names = {path.name for path in (tmp_path / "export").iterdir()}
    assert names & {f"{table}.jsonl.gz" for table in raw_export.SECRET_TABLES} == set()
    assert all("password_hash" not in row for _, row in read_jsonl(tmp_path / "export" / "accounts.jsonl.gz"))
    with pytest.raises(AccessDenied):
        raw_export.export_store(world.store, world.labeler, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_an_altered_export_and_a_contradiction_are_refused_whole(world: World, new_place: PlaceMaker, tmp_path: Path) -> None:
    fill(world)
    folder = tmp_path / "export"
    raw_export.export_store(world.store, None, folder)
    altered = shutil.copytree(folder, tmp_path / "altered")
    rows = [row for _, row in read_jsonl(altered / "prompts.jsonl.gz")]
    write_jsonl(altered / "prompts.jsonl.gz", [row | {"text_hash": "other"} for row in rows])
    with pytest.raises(DataError, match="altered"):
        raw_export.import_store(world.store, None, altered)
    manifest = json.loads((altered / "manifest.json").read_text())
    manifest["files"]["prompts.jsonl.gz"]["sha256"] = raw_export.hash_file(altered / "prompts.jsonl.gz")
    (altered / "manifest.json").write_text(json.dumps(manifest))
    before = content(world.store)
    with pytest.raises(DataError, match="another text_hash"):
        raw_export.import_store(world.store, None, altered)
    assert content(world.store) == before


def test_an_export_beside_another_account_of_the_same_name_is_refused_whole(world: World, new_place: PlaceMaker, tmp_path: Path) -> None:
    """Who begins anew makes an administrator first, and is called there as here."""
    fill(world)
    raw_export.export_store(world.store, None, tmp_path / "export")
    other = open_store(new_place())
    create_account(other, None, name=world.labeler.name, role="administrator")
    before = content(other)
    with pytest.raises(DataError, match="a row of accounts cannot stand beside one that is here"):
        raw_export.import_store(other, None, tmp_path / "export")
    assert content(other) == before
    other.close()


def test_the_migrations_make_the_schema(world: World) -> None:
    with world.store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.METADATA) == []


@pytest.mark.parametrize("revision", migration.revisions())
def test_up_from_every_revision_with_data_in_it(world: World, new_place: PlaceMaker, postgres: Any, tmp_path: Path, revision: str) -> None:
    """Rows of today's store that the older version has columns for are put into it, and are there after the upgrade."""
    fill(world)
    rows = content(world.store)
    url = postgres.new_database() if world.store.engine.dialect.name == "postgresql" else str(tmp_path / "older.db")
    older = make_engine(url)
    migration.upgrade(older, revision)
    with older.begin() as connection:
        tables = sa.MetaData()
        tables.reflect(connection)
        for table in schema.METADATA.sorted_tables:
            if table.name in tables.tables and rows[table.name]:
                known = [column for column in tables.tables[table.name].c if column.name in table.c]
                kept = sa.table(table.name, *(sa.column(column.name, table.c[column.name].type) for column in known))
                connection.execute(sa.insert(kept), [{column.name: row[column.name] for column in known} for row in rows[table.name]])
    older.dispose()
    # What a later revision added was not there to be filled.
    assert everything(url) == {name: there if name in tables.tables else [] for name, there in rows.items()}


def test_a_store_of_a_newer_version_is_refused_and_left_alone(world: World) -> None:
    with world.store.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="'9999', which this release does not know"):
        open_store(world.place)
    with world.store.reading() as connection:
        assert migration.current_revision(connection) == "9999"


def test_a_new_store_opened_by_many_at_once_is_made_once(world: World, postgres: Any, tmp_path: Path) -> None:
    place = postgres.new_database() if world.store.engine.dialect.name == "postgresql" else str(tmp_path / "new.db")
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(lambda _: open_store(place), range(8)))
    for store in stores:
        with store.reading() as connection:
            assert migration.current_revision(connection) == migration.revisions()[-1]
        store.close()


def test_a_place_that_cannot_be_a_store_is_refused_with_one_error(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, but quite a long text that SQLite reads as one" * 3)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    for place, match in {
        tmp_path: "is a folder",
        tmp_path / "none" / "x.db": "no folder",
        tmp_path / "text.db": "cannot be opened",
        tmp_path / "other.db": "other tables: mine",
        "mysql://x/y": "mysql",
        "postgresql+psycopg://nobody:secret@127.0.0.1:1/none": "cannot be opened",
    }.items():
        with pytest.raises(StoreError, match=match) as refused:
            open_store(place)
        assert "secret" not in str(refused.value)
