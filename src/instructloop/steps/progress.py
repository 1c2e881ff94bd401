"""What a person watching a run sees: a bar with the newest figures on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from instructloop.errors import MissingExtra
from instructloop.protocols import MetricSink

SECONDS_BETWEEN_LINES = 20.0
SHOWN = ("loss", "valid_loss", "accuracy", "score", "kl", "time/tokens_per_second")
"""Metrics shown beside the bar, where a step has them."""


class Progress:
    """Progress of one run; a context manager."""

    def __init__(self, name: str, *, total: int, done: int = 0, console: Console | None = None) -> None:
        self.name, self.total, self.done = name, total, done
        self.console = console or Console(stderr=True)
        self._figures = ""
        self._started, self._started_at, self._last_line = time.monotonic(), done, 0.0
        self._bar = RichProgress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"), console=self.console,
        )  # fmt: skip
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bar.start()
            self._task = self._bar.add_task(self.name, total=self.total, completed=self.done, figures="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.console.is_terminal:
            self._bar.stop()

    def metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take the figures of an update; a `MetricSink`."""
        shown = [f"{name.removeprefix('time/')} {metrics[name]:.4g}" for name in SHOWN if name in metrics]
        self._figures = "  ".join(shown) or self._figures

    def advance(self, done: int) -> None:
        """Say that `done` updates are done."""
        self.done = done
        if self._task is not None:
            self._bar.update(self._task, completed=done, figures=self._figures)
            return
        now = time.monotonic()
        if now - self._last_line >= SECONDS_BETWEEN_LINES or done == self.total:
            self._last_line = now
            left = (now - self._started) / max(done - self._started_at, 1) * (self.total - done)
            self.console.print(f"{self.name} {done}/{self.total}  {self._figures}  {left:.0f} s left", highlight=False, soft_wrap=True)


def require_tensorboard() -> None:
    """Raise `MissingExtra` unless TensorBoard is installed."""
    if find_spec("tensorboard") is None:
        raise MissingExtra("tensorboard", "tensorboard")


@contextmanager
def tensorboard_sink(folder: Path, *, start: int) -> Iterator[MetricSink]:
    """Metrics from update `start` on into event files in `folder/tensorboard`; what an earlier life of the run wrote beyond is hidden."""
    from torch.utils.tensorboard.writer import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=start)

    def sink(step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    try:
        yield sink
    finally:
        writer.close()
