"""How long each stage of the demo took, kept on disk: what was finished before a run was stopped is not timed again.

OUT/stages.json: the machine's speed, and of each stage its seconds, the largest memory seen by its end, and whether it is finished.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from instructloop.steps.running import write_json

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage as it stands on disk."""

    seconds: float = 0.0
    """Of all sittings, up to what the last of them left."""
    peak_rss_mb: float = 0.0
    """10⁶ bytes."""
    begun_at: float | None = None
    """Clock time at which a sitting began that has not ended, or was killed."""
    finished: bool = False


class Stages:
    """The stages of one folder."""

    def __init__(self, folder: Path, measure_speed: Callable[[], float]) -> None:
        """`measure_speed` is asked once per folder: 10⁹ bf16 operations per second."""
        self.folder = folder
        self._left_at = last_written(folder)
        there = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.gflops_bf16: float = there.get("gflops_bf16") or measure_speed()
        self._stages = {name: Stage(**stage) for name, stage in there.get("stages", {}).items()}
        self._write()

    @property
    def _path(self) -> Path:
        return self.folder / "stages.json"

    @property
    def seconds(self) -> Mapping[str, float]:
        """Stage -> seconds."""
        return {name: stage.seconds for name, stage in self._stages.items()}

    @property
    def peak_rss_mb(self) -> float:
        """The largest of all sittings."""
        return max(stage.peak_rss_mb for stage in self._stages.values())

    def run(self, name: str, make: Callable[[], T]) -> T:
        """What `make` makes, timed unless the stage is finished already and only has to be found again."""
        before = self._stages.get(name, Stage())
        if before.finished:
            return make()
        if before.begun_at is not None:
            before = Stage(seconds=before.seconds + max(0.0, self._left_at - before.begun_at), peak_rss_mb=before.peak_rss_mb)
        start, finished = time.perf_counter(), False
        self._put(name, Stage(seconds=before.seconds, peak_rss_mb=before.peak_rss_mb, begun_at=time.time()))
        try:
            made = make()
            finished = True
        finally:
            seconds = before.seconds + time.perf_counter() - start
            self._put(name, Stage(seconds=seconds, peak_rss_mb=max(before.peak_rss_mb, peak_rss_mb()), finished=finished))
        return made

    def _put(self, name: str, stage: Stage) -> None:
        self._stages[name] = stage
        self._write()

    def _write(self) -> None:
        stages = {name: asdict(stage) for name, stage in self._stages.items()}
        write_json(self._path, {"gflops_bf16": self.gflops_bf16, "stages": stages})


def last_written(folder: Path) -> float:
    """Clock time at which anything under the folder was last written: where a killed sitting ended, as far as one can know."""
    return max((path.stat().st_mtime for path in _files(folder)), default=0.0)


def peak_rss_mb() -> float:
    """The most memory this process has held so far, 10⁶ bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
