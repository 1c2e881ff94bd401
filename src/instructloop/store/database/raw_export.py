"""Everything the store holds, as files: a folder with one file for each table, and a manifest with checksums.

    manifest.json    {"format", "version", "revision", "made", "questions", "files": {name: {"table", "rows", "sha256"}}}
    prompts.jsonl.gz, labels.jsonl.gz, …    or .parquet

Left out is what lets people in: passwords, sessions, API keys, invitations; and jobs. Importing an export gives the same rows.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from instructloop.errors import DataError, first_line
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.copying import Row, in_chunks, insert_rows, read_rows
from instructloop.store.database.kinds import all_questions
from instructloop.store.database.migration import current_revision
from instructloop.store.database.moments import Moment
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import READING, require
from instructloop.store.database.schema import METADATA
from instructloop.store.database.turns import INTAKE, one_at_a_time
from instructloop.store.durable import sync
from instructloop.store.jsonl import read_jsonl, write_jsonl
from instructloop.store.parquet import write_parquet
from instructloop.store.snapshots import hash_file
from instructloop.store.tables import Place
from instructloop.store.tables import read_rows as read_table

FORMAT, VERSION = "instructloop-store", 1
MANIFEST = "manifest.json"
SECRET_TABLES = frozenset({"sessions", "api_keys", "invitations", "jobs"})
SECRET_COLUMNS = frozenset({"password_hash"})
TABLES = tuple(table for table in METADATA.sorted_tables if table.name not in SECRET_TABLES)

FileKind = Literal["jsonl", "parquet"]
SUFFIX: Mapping[FileKind, str] = {"jsonl": ".jsonl.gz", "parquet": ".parquet"}


def export_store(store: Store, actor: Actor, folder: Path, *, kind: FileKind = "jsonl") -> dict[str, int]:
    """Write every table into a new folder and return table -> number of rows, all as it is at one moment.

    For those who read everything, and the command line. The folder appears complete or not at all. Raises `DataError` if it exists.
    """
    if actor is not None:
        require(actor, READING, "export the store")
    if folder.exists() or not folder.absolute().parent.is_dir():
        came = f"{folder} exists" if folder.exists() else f"there is no folder {folder.absolute().parent}"
        raise DataError(came, expected="a new folder", remedy="name another one")
    with store.writing() as connection:
        write_audit(connection, store.now(), actor, "export", ("store", ""), {"folder": str(folder), "kind": kind})
    unfinished = Path(tempfile.mkdtemp(dir=folder.absolute().parent, prefix=f".{folder.name}."))
    try:
        with store.reading() as connection:
            manifest = _write(connection, unfinished, kind, store.now())
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    sync(folder.absolute().parent)
    return {file["table"]: file["rows"] for file in manifest["files"].values()}


def import_store(store: Store, actor: Actor, folder: Path) -> dict[str, int]:
    """Add the rows of an export that are not there yet and return table -> number of new rows; all or none.

    For administrators and the command line. Raises `DataError` if a file was altered, if the export is of another version of the
    store, or if a row is there already and says something else.
    """
    if actor is not None:
        require(actor, ("administrator",), "import a store")
    manifest = read_manifest(folder)
    files = {file["table"]: folder / name for name, file in manifest["files"].items()}
    with store.writing(durable=True) as connection:
        one_at_a_time(connection, INTAKE)
        if manifest["revision"] != (ours := current_revision(connection)):
            raise DataError(
                f"the export is of version {manifest['revision']!r} of the store",
                expected=f"version {ours!r}",
                remedy="open the store that it came from with this release, and export it again",
            )
        new = {table.name: _add(connection, table, _read(files[table.name], table)) for table in TABLES}
        write_audit(connection, store.now(), actor, "import", ("store", ""), {"folder": str(folder), "rows": sum(new.values())})
    return new


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an export whose files are all as they were written; raises `DataError` for anything else."""
    path = folder / MANIFEST
    try:
        manifest: Any = json.loads(path.read_text(encoding="utf-8"))
        given = (manifest["format"], manifest["version"])
        files: dict[str, Any] = manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} is no export: {first_line(error)}", expected=f"a folder with {MANIFEST}", remedy="name another one") from error
    if given != (FORMAT, VERSION) or {file["table"] for file in files.values()} != {table.name for table in TABLES}:
        raise DataError(f"{folder} is of the format {given}", expected=f"{FORMAT} {VERSION}", remedy="export it again with this release")
    for name, file in files.items():
        if Path(name).name != name or not (folder / name).is_file() or hash_file(folder / name) != file["sha256"]:
            raise DataError(f"{folder / name} is absent or was altered", expected=f"SHA-256 {file['sha256']}", remedy="copy the export again")
    return manifest


def _write(connection: sa.Connection, folder: Path, kind: FileKind, now: datetime) -> dict[str, Any]:
    files: dict[str, Any] = {}
    for table in TABLES:
        name, rows = f"{table.name}{SUFFIX[kind]}", (_out(row) for row in read_rows(connection, table))
        number = write_jsonl(folder / name, rows) if kind == "jsonl" else write_parquet(folder / name, _flat(table, rows), _columns(table))
        files[name] = {"table": table.name, "rows": number, "sha256": hash_file(folder / name)}
    about = {"format": FORMAT, "version": VERSION, "revision": current_revision(connection), "made": now.isoformat()}
    manifest = {**about, "questions": all_questions(), "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    sync(folder)
    return manifest


def _out(row: Row) -> Row:
    kept = {name: value for name, value in row.items() if name not in SECRET_COLUMNS}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in kept.items()}


def _read(path: Path, table: sa.Table) -> Iterator[Row]:
    """The rows of a file, as the database takes them."""
    is_parquet = path.suffix == ".parquet"
    rows: Iterable[tuple[int | Place, Row]] = read_table(path, table.name) if is_parquet else read_jsonl(path)
    for _, row in rows:
        yield {name: _back(table.c[name], value, is_text=is_parquet) for name, value in row.items()}


def _back(column: sa.Column[Any], value: Any, *, is_text: bool) -> Any:
    if value is None:
        return None
    if isinstance(column.type, Moment):
        return datetime.fromisoformat(value)
    return json.loads(value) if is_text and isinstance(column.type, sa.JSON) else value


def _flat(table: sa.Table, rows: Iterable[Row]) -> Iterator[Row]:
    """Parquet has one type to a column: JSON is written as text."""
    nested = [column.name for column in table.c if isinstance(column.type, sa.JSON)]
    for row in rows:
        yield row | {name: None if row[name] is None else json.dumps(row[name], ensure_ascii=False) for name in nested}


def _columns(table: sa.Table) -> dict[str, str]:
    kinds: dict[type[Any], str] = {sa.Integer: "int64", sa.Float: "double", sa.Boolean: "bool"}
    return {column.name: kinds.get(type(column.type), "string") for column in table.c if column.name not in SECRET_COLUMNS}


def _add(connection: sa.Connection, table: sa.Table, rows: Iterable[Row]) -> int:
    """Add the rows that are not there; raises `DataError` for one that has what another row, of another id, has alone: a name, for instance."""
    try:
        return insert_rows(connection, table, _missing(connection, table, rows))
    except IntegrityError as error:
        raise DataError(
            f"a row of {table.name} cannot stand beside one that is here: {first_line(error.orig or error)}",
            expected="an export of this store, or rows that it lacks",
            remedy="import it into a new store, before anybody has an account there",
        ) from error


def _missing(connection: sa.Connection, table: sa.Table, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows that are not there; raises `DataError` for one that is, and says something else."""
    key = list(table.primary_key.columns)
    for chunk in in_chunks(rows):
        wanted = sa.tuple_(*key).in_([tuple(row[column.name] for column in key) for row in chunk])
        there = {
            tuple(row[column.name] for column in key): {name: value for name, value in dict(row).items() if name not in SECRET_COLUMNS}
            for row in connection.execute(sa.select(table).where(wanted)).mappings()
        }
        for row in chunk:
            same = there.get(tuple(row[column.name] for column in key))
            if same is not None and same != row:
                differing = [name for name, value in row.items() if same.get(name) != value]
                raise DataError(
                    f"the row {[row[column.name] for column in key]} of {table.name} is there with another {', '.join(differing)}",
                    expected="an export of this store, or rows that it lacks",
                    remedy="import it into a new store",
                )
            if same is None:
                yield row
