"""Rows of any file people have: JSON Lines, a JSON array, Parquet, text. Each row comes with its place."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

from instructloop.errors import DataError, MissingExtra
from instructloop.store.jsonl import Row, as_row, parse_json, read_jsonl, read_lines
from instructloop.store.parquet import MARK

COMPRESSED = (".gz", ".zst")
TEXT = ".txt"
PIECE_CHARACTERS = 2_000
"""Most characters of a piece of a text file, unless one paragraph is longer: about 500 tokens, so that a story of a hundred
thousand characters has fifty pieces, enough for every split to get some, and a piece still has a beginning and an end."""

_BLANK_LINES = re.compile(r"\r?\n(?:[^\S\n]*\n)+")
"""The end of a line and the blank lines after it."""


@dataclass(frozen=True)
class Place:
    """Where a row stands."""

    path: Path
    number: int
    """Counted from 1: the line, or the item of an array or table."""
    unit: str = ""
    """What is counted, if not lines."""
    label: str = ""
    """What the file is called in the ids of rows that bring none."""

    def __str__(self) -> str:
        return f"{self.path}: {self.unit} {self.number}" if self.unit else f"{self.path}:{self.number}"

    @property
    def stem(self) -> str:
        """The file's name up to the first full stop."""
        return stem_of(self.path)

    @property
    def id(self) -> str:
        """The id of a row that brings none."""
        return f"{self.label}-{self.number}"


def stem_of(path: Path) -> str:
    """A file's name up to the first full stop."""
    return path.name.split(".")[0]


def labels_of(paths: Sequence[Path]) -> list[str]:
    """What each of several files is called in ids: its stem, or as much more of its path as it takes to tell it from the others.

    "a/rows.jsonl" beside "b/other.jsonl" is "rows", beside "b/rows.jsonl" it is "a/rows.jsonl". Text files keep their suffix.
    """
    candidates = [_names_of(path) for path in paths]
    given = Counter(name for names in candidates for name in names)
    return [next((name for name in names if given[name] == 1), names[-1]) for names in candidates]


def pieces_of(text: str) -> Iterator[str]:
    """The text cut at blank lines into pieces of whole paragraphs, as many in each as `PIECE_CHARACTERS` allows.

    Only the blank lines between two pieces are left out; a text without blank lines is one piece.
    """
    start = end = following = 0
    gaps = [(gap.start(), gap.end()) for gap in _BLANK_LINES.finditer(text)]
    for stop, after in [*gaps, (len(text), len(text))]:
        if stop - start > PIECE_CHARACTERS and text[start:end].strip():
            yield text[start:end]
            start = following
        end, following = stop, after
    if text[start:].strip():
        yield text[start:]


def format_of(path: Path) -> str:
    """The suffix that says what a file holds, compression aside: ".jsonl" for "a.jsonl.gz"."""
    return Path(path.stem).suffix if path.suffix in COMPRESSED else path.suffix


def read_rows(path: Path, label: str, *, cut_text: bool = False) -> Iterator[tuple[Place, Row]]:
    """(place, row) of a .jsonl, .json, .parquet or .txt file; a text file is one row whose `text` is all of it, or a row for each piece."""
    for place, row in _read_rows(path, label, cut_text=cut_text):
        yield replace(place, label=label), row


def _read_rows(path: Path, label: str, *, cut_text: bool) -> Iterator[tuple[Place, Row]]:
    if not path.is_file():
        raise DataError(f"{path} does not exist or is a folder", expected="a file", remedy="check the path")
    match format_of(path):
        case suffix if suffix == TEXT:
            yield from _read_text(path, label, cut=cut_text)
        case ".parquet":
            yield from _read_parquet(path)
        case ".json" if _is_array(path):
            yield from _read_array(path)
        case _:
            for number, row in read_jsonl(path):
                yield Place(path, number), row


def _read_bytes(path: Path) -> bytes:
    return b"".join(line for _, line in read_lines(path))


def _read_text(path: Path, label: str, *, cut: bool) -> Iterator[tuple[Place, Row]]:
    try:
        text = _read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason}", expected="UTF-8 text", remedy="convert the file") from error
    pieces = list(pieces_of(text)) if cut else []
    if len(pieces) > 1:
        for number, piece in enumerate(pieces, start=1):
            yield Place(path, number, "piece"), {"text": piece}
    else:
        yield Place(path, 1), {"id": label, "text": text}


def _names_of(path: Path) -> list[str]:
    """Names of a file from the shortest to its whole path."""
    parts = Path(os.path.abspath(path)).parts
    longer = ["/".join(parts[-count:]) for count in range(1, len(parts))] + [os.path.abspath(path)]
    return longer if format_of(path) == TEXT else list(dict.fromkeys([stem_of(path), *longer]))


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
        file = table.ParquetFile(path)
        nested = [field.name for field in file.schema_arrow if (field.metadata or {}).items() >= MARK.items()]
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                number += 1
                place = Place(path, number, "row")
                yield place, row | {name: parse_json(row[name].encode(), str(place)) for name in nested if row[name] is not None}
    except arrow.ArrowException as error:
        raise DataError(f"{path} cannot be read beyond row {number}: {error}", expected="a Parquet file", remedy="write it again") from error
