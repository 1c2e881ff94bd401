"""JSON Lines in and out: plain, .gz and .zst. Reading names file and line of what is broken; writing is all or nothing."""

import contextlib
import gzip
import io
import json
import os
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar, cast

import zstandard

from instructloop.errors import DataError
from instructloop.records import Record
from instructloop.store.durable import sync

Row = dict[str, Any]
R = TypeVar("R", bound=Record)


def read_jsonl(path: str | Path) -> Iterator[tuple[int, Row]]:
    """(line number, object) of every line that is not blank; raises `DataError` at the first that is no JSON object."""
    for number, line in read_lines(path):
        if line.strip():
            where = f"{path}:{number}"
            yield number, as_row(parse_json(line, where), where)


def read_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """(line number, bytes) of a plain or compressed file; raises `DataError` if it is absent or cut short."""
    number = 0
    try:
        with open_compressed(Path(path)) as file:
            for number, line in enumerate(file, start=1):
                yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise _unreadable(path, number, error) from error


def open_compressed(path: Path) -> BinaryIO:
    """The bytes of a file, decompressed if its name ends in .gz or .zst."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix == ".zst":
        return cast(BinaryIO, io.BufferedReader(_ZstdFile(path)))
    return path.open("rb")


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one object per line and return how many: the file appears complete or not at all.

    The same rows give the same bytes, compressed or not. Raises `DataError` for a row that JSON cannot hold.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as file:
            with _compressing(file, path.suffix) as sink:
                count = _write_rows(sink, rows, path)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync(path.parent)
    return count


def read_records(path: str | Path, record: type[R]) -> Iterator[R]:
    """The records of a file; raises `DataError` naming file and line of the first that does not fit."""
    for number, row in read_jsonl(path):
        with locating(f"{path}:{number}"):
            made = record.from_json(row)
        yield made


def write_records(path: str | Path, records: Iterable[Record]) -> int:
    """Write records that `read_records` gives back; returns how many."""
    return write_jsonl(path, (record.to_json() for record in records))


@contextlib.contextmanager
def locating(where: str) -> Generator[None]:
    """Put the place, "file:line", before what a `DataError` raised inside says."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{where}: {error.came}", expected=error.expected, remedy=error.remedy) from error


def parse_json(data: bytes, where: str) -> Any:
    """The JSON value of UTF-8 bytes, strictly: no NaN, no half characters; a `DataError` begins with `where`."""
    try:
        value = json.loads(data.decode(), parse_constant=_refuse_constant)
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8: {error.reason}", expected="UTF-8 text", remedy="convert the file") from error
    except UnicodeEncodeError as error:
        raise DataError(f"{where} holds half of a surrogate pair", expected="whole characters", remedy="correct the escapes") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON: {error}", expected="a JSON object", remedy="correct it, or remove the line") from error
    return value


def as_row(value: object, where: str) -> Row:
    """A JSON value that must be an object."""
    if not isinstance(value, dict):
        raise DataError(f"{where} is a JSON {type(value).__name__}", expected="a JSON object", remedy="correct or remove it")
    return cast(Row, value)


class _ZstdFile(io.RawIOBase):
    """A decompressed file, of any number of frames. zstandard's own reader takes a file cut short for a whole one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._decompressed = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._decompressed:
            compressed = self._file.read(1 << 17)
            if not compressed and self._frame:
                raise EOFError("the file ends inside compressed data")
            if not compressed:
                return 0
            self._decompressed = memoryview(self._decompress(compressed))
        count = min(len(buffer), len(self._decompressed))
        buffer[:count] = self._decompressed[:count]
        self._decompressed = self._decompressed[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _decompress(self, compressed: bytes) -> bytes:
        pieces: list[bytes] = []
        while compressed:
            frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            pieces.append(frame.decompress(compressed))
            self._frame, compressed = (None, frame.unused_data) if frame.eof else (frame, b"")
        return b"".join(pieces)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _write_rows(sink: BinaryIO, rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    count = 0
    for count, row in enumerate(rows, start=1):
        try:
            sink.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        except ValueError as error:
            raise DataError(f"row {count} for {path}: {error}", expected="finite numbers and whole characters", remedy="correct the row") from error
    return count


@contextlib.contextmanager
def _compressing(file: BinaryIO, suffix: str) -> Generator[BinaryIO]:
    if suffix == ".gz":
        # Neither name nor time in the header: equal rows give equal bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as sink:
            yield cast(BinaryIO, sink)
    elif suffix == ".zst":
        with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as sink:
            yield cast(BinaryIO, sink)
    else:
        yield file


def _unreadable(path: str | Path, line: int, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path} does not exist", expected="a file", remedy="check the path")
    return DataError(f"{path} cannot be read beyond line {line}: {error}", expected="a whole file", remedy="copy or download it again")
