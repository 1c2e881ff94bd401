"""Rows of any file people have: JSON Lines, a JSON array, Parquet, text. Each row comes with its place."""

import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from instructloop.errors import DataError, MissingExtra
from instructloop.store.jsonl import Row, open_compressed, read_jsonl

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


def _read_text(path: Path) -> str:
    with open_compressed(path) as file:
        try:
            return file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8: {error.reason}", expected="UTF-8 text", remedy="convert the file") from error


def _is_array(path: Path) -> bool:
    with open_compressed(path) as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def _read_array(path: Path) -> Iterator[tuple[Place, Row]]:
    try:
        rows: Any = json.loads(_read_text(path))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}", expected="an array of JSON objects", remedy="correct the file") from error
    for number, row in enumerate(rows, start=1):
        place = Place(path, number, "item")
        if not isinstance(row, dict):
            raise DataError(f"{place} is a JSON {type(row).__name__}", expected="a JSON object", remedy="correct or remove the item")
        yield place, cast(Row, row)


def _read_parquet(path: Path) -> Iterator[tuple[Place, Row]]:
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra("pyarrow", "parquet") from error
    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield Place(path, number, "row"), row
    except arrow.ArrowException as error:
        raise DataError(f"{path} cannot be read beyond row {number}: {error}", expected="a Parquet file", remedy="write it again") from error
