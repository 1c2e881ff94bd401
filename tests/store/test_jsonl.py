"""JSON Lines: everything comes back, broken files are named by line, and nothing is ever half-written."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructloop.errors import DataError
from instructloop.records import Document
from instructloop.store.jsonl import read_jsonl, read_records, write_jsonl, write_records

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
VALUE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ROWS = st.lists(st.dictionaries(st.text(), VALUE | st.lists(VALUE), max_size=4), max_size=5)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_rows_there_and_back(tmp_path: Path, suffix: str, rows: list[dict[str, Any]]) -> None:
    file = tmp_path / f"rows{suffix}"
    assert write_jsonl(file, rows) == len(rows)
    assert [row for _, row in read_jsonl(file)] == rows


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_rows_are_equal_bytes_and_other_tools_read_them(tmp_path: Path, suffix: str) -> None:
    rows = [{"text": "naïve\u2028line", "n": 1}]
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_jsonl(first, rows)
    write_jsonl(second, rows)
    data = first.read_bytes()
    assert data == second.read_bytes()
    opened = {".gz": gzip.decompress, ".zst": lambda packed: zstandard.ZstdDecompressor().stream_reader(packed).read()}
    assert json.loads(opened.get(first.suffix, bytes)(data)) == rows[0]


def test_lines_are_counted_with_blank_ones(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"a": 2}')
    assert list(read_jsonl(file)) == [(1, {"a": 1}), (4, {"a": 2})]


@pytest.mark.parametrize(
    "line",
    [b'{"a": 1', b"[1]", b"3", b"\xff", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": "\\ud800"}', b"{'a': 1}", b'{"a": 1} {"b": 2}', b"[" * 5000],
    ids=["cut", "array", "number", "bytes", "nan", "infinity", "surrogate", "quotes", "two", "deep"],
)
def test_a_broken_line_is_named(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"a": 1}\n' + line + b"\n")
    with pytest.raises(DataError, match=r"a\.jsonl:2"):
        list(read_jsonl(file))


@given(st.binary(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_bytes_are_rows_or_refused(tmp_path: Path, suffix: str, data: bytes) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(data)
    try:
        rows = list(read_jsonl(file))
    except DataError:
        return
    assert all(isinstance(row, dict) for _, row in rows)


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_a_file_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    write_jsonl(file, ({"n": n, "text": str(n * 7919 % 10007)} for n in range(2000)))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataError, match="cannot be read beyond line"):
        list(read_jsonl(file))


def test_zstandard_frames_may_follow_one_another(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.zst"
    file.write_bytes(zstandard.compress(b'{"a": 1}\n{"a"') + zstandard.compress(b"") + zstandard.compress(b": 2}\n"))
    assert [row for _, row in read_jsonl(file)] == [{"a": 1}, {"a": 2}]


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        list(read_jsonl(tmp_path / "absent.jsonl"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_while_writing_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    write_jsonl(file, [{"a": 1}])

    def rows() -> Iterator[dict[str, Any]]:
        yield {"a": 2}
        yield {"a": float("nan")}

    with pytest.raises(DataError, match="row 2"):
        write_jsonl(file, rows())
    assert [row for _, row in read_jsonl(file)] == [{"a": 1}]
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_records_there_and_back_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.gz"
    documents = [Document(id="1", text="one"), Document(id="2", text="two")]
    assert write_records(file, documents) == 2
    assert list(read_records(file, Document)) == documents
    write_jsonl(file, [documents[0].to_json(), {"id": 2, "text": "two"}])
    with pytest.raises(DataError, match=r"a\.jsonl\.gz:2: Document\.id is 2"):
        list(read_records(file, Document))
