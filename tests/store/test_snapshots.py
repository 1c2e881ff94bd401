"""Snapshots: equal data has an equal id, altered data is refused, and nothing is overwritten or half-made."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from instructloop.errors import DataError
from instructloop.records import Demonstration, Document, Prompt, Provenance, Record, Snapshot
from instructloop.store.snapshots import freeze, open_snapshot, read_split

TRAIN = [Document(id=str(n), text=f"text {n}", provenance=Provenance(origin="a" if n < 2 else "b")) for n in range(5)]
VALID = [Document(id="v", text="held out")]


def make(folder: Path) -> Snapshot:
    return freeze(folder, {"train": TRAIN, "valid": VALID}, query="instructloop snapshot …")


def test_what_was_frozen_is_read(tmp_path: Path) -> None:
    snapshot = make(tmp_path / "deep" / "one")
    assert snapshot.counts == {"train": {"a": 2, "b": 3}, "valid": {"unknown": 1}}
    assert (snapshot.record, snapshot.query) == ("Document", "instructloop snapshot …")
    assert open_snapshot(tmp_path / "deep" / "one") == snapshot
    assert list(read_split(tmp_path / "deep" / "one", "train", Document)) == TRAIN
    assert list(read_split(tmp_path / "deep" / "one", "valid", Document)) == VALID


def test_equal_data_has_an_equal_id(tmp_path: Path) -> None:
    first, second = make(tmp_path / "one"), make(tmp_path / "two")
    assert first.id == second.id
    assert len(first.id) == 16
    assert freeze(tmp_path / "three", {"train": TRAIN}, query="").id != first.id


def test_sources_can_be_counted_otherwise(tmp_path: Path) -> None:
    snapshot = freeze(tmp_path / "one", {"train": TRAIN}, query="", source_of=lambda record: type(record).__name__)
    assert snapshot.counts == {"train": {"Document": 5}}


def test_a_demonstration_counts_for_the_origin_of_its_prompt(tmp_path: Path) -> None:
    prompt = Prompt(id="p", text="?", user_id="u", provenance=Provenance(origin="somewhere"))
    snapshot = freeze(tmp_path / "one", {"train": [Demonstration(prompt=prompt, text="!", labeler_id="l")]}, query="")
    assert snapshot.counts == {"train": {"somewhere": 1}}


@pytest.mark.parametrize("file", ["train.jsonl.gz", "valid.jsonl.gz"])
def test_an_altered_file_is_refused(tmp_path: Path, file: str) -> None:
    make(tmp_path / "one")
    path = tmp_path / "one" / file
    assert path.stat().st_mode & 0o222 == 0, "files are read-only"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"{file} was altered"):
        open_snapshot(tmp_path / "one")
    path.unlink()
    with pytest.raises(DataError, match="absent"):
        open_snapshot(tmp_path / "one")


def test_an_altered_description_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "one")
    description = tmp_path / "one" / "snapshot.json"
    row = json.loads(description.read_text())
    description.chmod(0o644)
    description.write_text(json.dumps(row | {"id": "0" * 16}))
    with pytest.raises(DataError, match="has the id 0000"):
        open_snapshot(tmp_path / "one")
    description.write_text(json.dumps(row | {"files": {"../train.jsonl.gz": ""}}))
    with pytest.raises(DataError, match="names"):
        open_snapshot(tmp_path / "one")
    description.write_text("{")
    with pytest.raises(DataError, match="is not a snapshot"):
        open_snapshot(tmp_path / "one")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    make(tmp_path / "one")
    with pytest.raises(DataError, match="exists"):
        make(tmp_path / "one")


def broken() -> Iterator[Record]:
    yield TRAIN[0]
    raise DataError("line 2 is broken", expected="a record", remedy="correct it")


@pytest.mark.parametrize(
    ("splits", "named"),
    [
        ({"train": broken()}, "line 2 is broken"),
        ({"train": TRAIN, "valid": []}, "'valid' is empty"),
        ({"train": [*TRAIN, Prompt(id="p", text="?", user_id="u")]}, "Document, Prompt"),
        ({"../train": TRAIN}, "a split named"),
        ({}, "without splits"),
    ],
    ids=["broken", "empty", "mixed", "name", "none"],
)
def test_a_failure_leaves_nothing(tmp_path: Path, splits: dict[str, list[Record]], named: str) -> None:
    with pytest.raises(DataError, match=named):
        freeze(tmp_path / "one", splits, query="")
    assert list(tmp_path.iterdir()) == []


def test_wrong_splits_and_types_are_refused(tmp_path: Path) -> None:
    make(tmp_path / "one")
    with pytest.raises(DataError, match="no split 'test'"):
        next(read_split(tmp_path / "one", "test", Document))
    with pytest.raises(DataError, match="holds Document records"):
        next(read_split(tmp_path / "one", "train", Prompt))
    with pytest.raises(DataError, match="is not a snapshot"):
        open_snapshot(tmp_path / "two")
