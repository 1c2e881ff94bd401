"""Snapshots: frozen, hashed data files. What a training run read is known to the byte, and cannot change under it.

A snapshot is a folder with `<split>.jsonl.gz` for each split and `snapshot.json`, the `Snapshot` record.
"""

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from instructloop.errors import DataError
from instructloop.records import RECORDS, Provenance, Record, Snapshot
from instructloop.store.durable import sync
from instructloop.store.jsonl import read_records, write_jsonl

DESCRIPTION = "snapshot.json"
SUFFIX = ".jsonl.gz"
READ_ONLY = 0o444

R = TypeVar("R", bound=Record)


def freeze(folder: str | Path, splits: Mapping[str, Iterable[R]], *, query: str, source_of: Callable[[R], str] | None = None) -> Snapshot:
    """Write `splits` (name -> records of one type) as a snapshot; the folder appears complete or not at all.

    `query` is the command or query that made it; `source_of` says what its counts tell apart, the origin unless given.
    Raises `DataError` if the folder exists, a split is empty or the records are of several types.
    """
    folder = Path(folder)
    if folder.exists():
        raise DataError(f"{folder} exists", expected="a new folder: snapshots are never overwritten", remedy="choose another name")
    _check_names(splits)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    unfinished.mkdir()
    try:
        snapshot = _write(unfinished, splits, query, source_of or origin_of)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    sync(folder.parent)
    return snapshot


def open_snapshot(folder: str | Path) -> Snapshot:
    """The snapshot in `folder`; raises `DataError` unless every file is as it was frozen."""
    folder = Path(folder)
    snapshot = read_description(folder)
    for name, expected in snapshot.files.items():
        came = hash_file(folder / name) if (folder / name).is_file() else "absent"
        if came != expected:
            raise DataError(
                f"{folder / name} was altered: its SHA-256 is {came}",
                expected=expected,
                remedy="restore the file; to change the data, freeze a new snapshot",
            )
    if snapshot.id != _identity(snapshot.files):
        raise DataError(f"{folder} has the id {snapshot.id}", expected=_identity(snapshot.files), remedy=f"restore {DESCRIPTION}")
    return snapshot


def read_split(folder: str | Path, split: str, record: type[R]) -> Iterator[R]:
    """The records of one split; raises `DataError` if there is no such split or it holds another type."""
    folder = Path(folder)
    snapshot = read_description(folder)
    if split not in snapshot.counts:
        raise DataError(f"{folder} has no split {split!r}", expected=f"one of {', '.join(snapshot.counts)}", remedy="name another split")
    if snapshot.record != record.__name__:
        raise DataError(f"{folder} holds {snapshot.record} records", expected=f"{record.__name__} records", remedy="give another snapshot")
    yield from read_records(folder / f"{split}{SUFFIX}", record)


def read_description(folder: str | Path) -> Snapshot:
    """What the snapshot in `folder` says of itself, its files unread; raises `DataError` if there is no snapshot."""
    folder = Path(folder)
    try:
        row = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        snapshot = Snapshot.from_json(row)
    except (OSError, ValueError, DataError) as error:
        raise DataError(
            f"{folder} is not a snapshot: {str(error).splitlines()[0]}",
            expected=f"a folder with {DESCRIPTION}, made by `instructloop snapshot`",
            remedy="check the path, or freeze the data first",
        ) from error
    unsafe = [name for name in snapshot.files if Path(name).name != name]
    if unsafe or snapshot.record not in RECORDS:
        raise DataError(
            f"{folder / DESCRIPTION} names {unsafe or snapshot.record}", expected="files of the folder, a known record", remedy="restore it"
        )
    return snapshot


def origin_of(record: Record) -> str:
    """Where a record, or else its prompt, was imported from."""
    prompt = getattr(record, "prompt", None)
    inherited = prompt.provenance.origin if isinstance(prompt, Record) else None
    return record.provenance.origin or inherited or "unknown"


def _check_names(splits: Mapping[str, object]) -> None:
    if not splits:
        raise DataError("a snapshot without splits", expected="at least one", remedy='for instance {"train": …, "valid": …}')
    for name in splits:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise DataError(f"a split named {name!r}", expected="letters, digits, - and _", remedy="rename it")


def _write(folder: Path, splits: Mapping[str, Iterable[R]], query: str, source_of: Callable[[R], str]) -> Snapshot:
    counts: dict[str, dict[str, int]] = {}
    kinds: set[str] = set()
    for split, records in splits.items():
        sources: Counter[str] = Counter()
        write_jsonl(folder / f"{split}{SUFFIX}", _counted(records, sources, kinds, source_of))
        if not sources:
            raise DataError(f"the split {split!r} is empty", expected="at least one record", remedy="leave the split out, or change the query")
        counts[split] = dict(sorted(sources.items()))
    if len(kinds) != 1:
        raise DataError(f"records of the types {', '.join(sorted(kinds))}", expected="one type in a snapshot", remedy="freeze one snapshot for each")
    files = {f"{split}{SUFFIX}": hash_file(folder / f"{split}{SUFFIX}") for split in sorted(splits)}
    snapshot = Snapshot(
        id=_identity(files),
        files=files,
        counts=counts,
        query=query,
        record=kinds.pop(),
        provenance=Provenance(when=datetime.now(UTC).isoformat(timespec="seconds")),
    )
    (folder / DESCRIPTION).write_text(json.dumps(snapshot.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for file in folder.iterdir():
        file.chmod(READ_ONLY)
    sync(folder)
    return snapshot


def _counted(records: Iterable[R], sources: Counter[str], kinds: set[str], source_of: Callable[[R], str]) -> Iterator[Mapping[str, object]]:
    for record in records:
        sources[source_of(record)] += 1
        kinds.add(type(record).__name__)
        yield record.to_json()


def _identity(files: Mapping[str, str]) -> str:
    """16 hex digits over the names and contents of the files: equal data, equal id."""
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in sorted(files.items())).encode()).hexdigest()[:16]


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
