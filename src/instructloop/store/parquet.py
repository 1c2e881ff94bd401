"""Parquet out; `tables.py` reads it."""

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, cast

from instructloop.errors import MissingExtra
from instructloop.store.durable import sync

CHUNK = 5000
TYPES = {"string": "string", "int64": "int64", "double": "float64", "bool": "bool_"}
"""Name of a column's type -> function of pyarrow."""


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> int:
    """Write rows as Parquet and return how many; `columns` are name -> one of `TYPES`. Raises `MissingExtra` without pyarrow."""
    try:
        import pyarrow  # pyright: ignore[reportMissingTypeStubs]
        from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    arrow, iterator, number = cast(Any, pyarrow), iter(rows), 0
    layout = arrow.schema([(name, getattr(arrow, TYPES[kind])()) for name, kind in columns.items()])
    with cast(Any, parquet).ParquetWriter(path, layout, compression="zstd") as file:
        while chunk := list(islice(iterator, CHUNK)):
            file.write_table(arrow.Table.from_pylist(chunk, schema=layout))
            number += len(chunk)
    sync(path)
    return number
