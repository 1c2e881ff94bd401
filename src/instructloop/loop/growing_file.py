"""A file of rows that takes long to make: written piece by piece, and gone on with after any kind of death.

OUT                  appears when it is whole
OUT.partial          the rows so far
OUT.settings.json    what made it, and how far it is; stays, to say what the finished file is
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instructloop.errors import ResumeError, RunFinished
from instructloop.records import Record
from instructloop.steps.running import write_json
from instructloop.store.jsonl import read_jsonl, write_jsonl


@dataclass
class GrowingFile:
    """An open one; made by `open_growing`."""

    out: Path
    settings: Mapping[str, Any]
    done: int = 0
    """Items worked off; a row need not come of each."""
    length: int = 0
    """Bytes of the rows of these items."""
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    """What was left out so far, by reason."""

    def append(self, records: Sequence[Record], *, done: int, counts: Mapping[str, int]) -> None:
        """Add rows for good: they and how far it is now are on disk when this returns."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        with open(_partial(self.out), "ab") as file:
            file.truncate(self.length)
            file.writelines(json.dumps(record.to_json(), ensure_ascii=False).encode() + b"\n" for record in records)
            file.flush()
            os.fsync(file.fileno())
            self.done, self.length, self.counts = done, file.tell(), dict(counts)
        progress = {"done": self.done, "length": self.length, "counts": self.counts}
        write_json(_sidecar(self.out), {"settings": self.settings, **progress})

    def finish(self) -> int:
        """Turn the rows into the finished file, compressed if its name says so; returns how many there are."""
        rows = write_jsonl(self.out, (row for _, row in read_jsonl(_partial(self.out))))
        _partial(self.out).unlink()
        return rows


def open_growing(out: Path, settings: Mapping[str, Any]) -> GrowingFile:
    """A file to start, or to go on with; raises `RunFinished`, or `ResumeError` if it was begun with other settings. Writes nothing."""
    settings = json.loads(json.dumps(settings))
    if not _sidecar(out).exists():
        if out.exists():
            raise ResumeError(f"{out} exists", expected="a new file", remedy="choose another --out")
        return GrowingFile(out, settings)
    there = json.loads(_sidecar(out).read_text())
    _refuse_other_settings(out, there["settings"], settings)
    if out.exists():
        _partial(out).unlink(missing_ok=True)  # the last sitting was killed right after the file was whole
        raise RunFinished(f"{out} is already finished; nothing was done")
    if not _partial(out).exists() or _partial(out).stat().st_size < there["length"]:
        raise ResumeError(f"{_partial(out)} lacks rows it had", expected=f"{there['length']} bytes", remedy=f"delete {_sidecar(out)} to begin again")
    return GrowingFile(**there, out=out)


def _refuse_other_settings(out: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    differing = [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
    if differing:
        shown = "; ".join(f"{name}: {there.get(name)!r} there, {here.get(name)!r} here" for name in differing)
        raise ResumeError(
            f"{out} was begun with other settings ({shown})",
            expected="the settings and models it was begun with",
            remedy="choose another --out, or give those settings",
        )


def _partial(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def _sidecar(out: Path) -> Path:
    return out.with_name(f"{out.name}.settings.json")
