"""Whole tables from one database to another, of the same version and of whatever kind."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from instructloop.store.database.schema import METADATA

CHUNK = 500
Row = dict[str, Any]


def copy_everything(source: sa.Connection, target: sa.Connection) -> int:
    """Every row of every table, those that others name first; returns how many. The target holds the same tables, empty."""
    return sum(insert_rows(target, table, read_rows(source, table)) for table in METADATA.sorted_tables)


def read_rows(connection: sa.Connection, table: sa.Table) -> Iterator[Row]:
    """The rows of a table in order of their keys, a few at a time."""
    query = sa.select(table).order_by(*table.primary_key.columns)
    for row in connection.execution_options(yield_per=CHUNK).execute(query).mappings():
        yield {str(name): value for name, value in row.items()}


def insert_rows(connection: sa.Connection, table: sa.Table, rows: Iterable[Row]) -> int:
    """Add rows to a table; returns how many."""
    number = 0
    for chunk in in_chunks(rows):
        connection.execute(sa.insert(table), list(chunk))
        number += len(chunk)
    return number


def in_chunks(rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
    """The rows, `CHUNK` at a time."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
