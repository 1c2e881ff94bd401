"""Rows of any file people have: JSON Lines, a JSON array, Parquet, text. Each row comes with its place."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from instructloop.errors import DataError, MissingExtra
from instructloop.store.jsonl import Row, as_row, parse_json, read_jsonl, read_lines

COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True)
class Place:
    """Where a row stands."""

    path: Path
    number: int
    """Counted from 1: the line, or the item of an array or table."""
    unit: str = ""
    """What is counted, if not lines."""

    def __str__(self) -> str:
        return f"{self.path}: {self.unit} {self.number}" if self.unit else f"{self.path}:{self.number}"

    @property
    def stem(self) -> str:
        """The file's name up to the first full stop."""
        return self.path.name.split(".")[0]


def format_of(path: Path) -> str:
    """The suffix that says what a file holds, compression aside: ".jsonl" for "a.jsonl.gz"."""
    return Path(path.stem).suffix if path.suffix in COMPRESSED else path.suffix


def read_rows(path: str | Path) -> Iterator[tuple[Place, Row]]:
    """(place, row) of a .jsonl, .json, .parquet or .txt file; a text file is one row whose `text` is all of it."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist or is a folder", expected="a file", remedy="check the path")
    match format_of(path):
        case ".txt":
            yield Place(path, 1), {"id": path.name, "text": _read_text(path)}
        case ".parquet":
            yield from _read_parquet(path)
        case ".json" if _is_array(path):
            yield from _read_array(path)
        case _:
            for number, row in read_jsonl(path):
                yield Place(path, number), row


def _read_bytes(path: Path) -> bytes:
    return b"".join(line for _, line in read_lines(path))


def _read_text(path: Path) -> str:
    try:
        return _read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason}", expected="UTF-8 text", remedy="convert the file") from error


def _is_array(path: Path) -> bool:
    return any(line.lstrip().startswith(b"[") for _, line in islice(read_lines(path), 1))


def _read_array(path: Path) -> Iterator[tuple[Place, Row]]:
    values = parse_json(_read_bytes(path), str(path))
    for number, value in enumerate(values, start=1):
        place = Place(path, number, "item")
        yield place, as_row(value, str(place))


def _read_parquet(path: Path) -> Iterator[tuple[Place, Row]]:
    try:
        import pyarrow  # pyright: ignore[reportMissingTypeStubs]
        from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    arrow, table = cast(Any, pyarrow), cast(Any, parquet)
    number = 0
    try:
        for batch in table.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield Place(path, number, "row"), row
    except arrow.ArrowException as error:
        raise DataError(f"{path} cannot be read beyond row {number}: {error}", expected="a Parquet file", remedy="write it again") from error
