"""Parquet out; `tables.py` reads it."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, cast

from instructloop.errors import MissingExtra
from instructloop.store.durable import sync

CHUNK = 5000
TYPES: Mapping[str, Callable[[Any], Any]] = {
    "string": lambda arrow: arrow.string(),
    "int64": lambda arrow: arrow.int64(),
    "double": lambda arrow: arrow.float64(),
    "bool": lambda arrow: arrow.bool_(),
    "json": lambda arrow: arrow.string(),
    "turns": lambda arrow: arrow.list_(arrow.struct([("role", arrow.string()), ("content", arrow.string())])),
}
"""Name of a column's type -> the type of pyarrow. "turns" are the messages of a conversation, nested as trainers read them; "json" is any
other nested value, as text."""
MARK = {b"instructloop": b"json"}
"""Metadata of columns of the type "json", by which the reader knows to parse them."""


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> int:
    """Write rows as Parquet and return how many; `columns` are name -> one of `TYPES`. Raises `MissingExtra` without pyarrow."""
    try:
        import pyarrow  # pyright: ignore[reportMissingTypeStubs]
        from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    arrow, iterator, number = cast(Any, pyarrow), iter(rows), 0
    layout = arrow.schema([arrow.field(name, TYPES[kind](arrow), metadata=MARK if kind == "json" else None) for name, kind in columns.items()])
    with cast(Any, parquet).ParquetWriter(path, layout, compression="zstd") as file:
        while chunk := list(islice(iterator, CHUNK)):
            file.write_table(arrow.Table.from_pylist(chunk, schema=layout))
            number += len(chunk)
    sync(path)
    return number
