"""A training run on disk: its folder, its manifest, its metrics, and going on after any kind of death.

    run/
      manifest.json        resolved config, code version, snapshot ids, parents, command line: before the first update
      metrics.jsonl        one line per update; wall-clock figures under keys that start with "time/"
      samples.jsonl        what the model says as it learns
      checkpoints/         update-000050/state.pt: everything the next update reads; only the newest is kept
      model/               the result, a Hugging Face directory
      finished.json        the run's closing figures

Randomness is derived from (seed, name, update), never carried, so a checkpoint is weights, optimizers and controllers
only, and `n` updates equal `k` updates, a kill and `n - k` more, bit for bit (law D2).
"""

import json
import os
import pickle
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch

from instructloop.errors import DataError, Interrupted, ResumeError, RunFinished, first_line
from instructloop.model.finite import require_finite
from instructloop.protocols import MetricSink
from instructloop.records import RunManifest
from instructloop.steps.progress import Progress, require_tensorboard, tensorboard_sink
from instructloop.store.durable import sync

TIME_PREFIX = "time/"
MANIFEST, FINISHED = "manifest.json", "finished.json"
LOGS = ("metrics.jsonl", "samples.jsonl")
BEFORE_MANIFEST = {f".{MANIFEST}.writing"}
"""What a run that was killed in its first moment may leave in its folder."""
STDERR = 2
BROKEN = (OSError, EOFError, RuntimeError, pickle.UnpicklingError, ValueError, LookupError, TypeError, AttributeError)
"""What `torch.load` raises for a file that is absent, cut off or overwritten."""


class Stateful(Protocol):
    """Anything a checkpoint carries: a module, an optimizer, a controller."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state_dict: Any, /) -> Any: ...


@dataclass
class Run:
    """An open run folder; made by `open_run`."""

    folder: Path
    manifest: RunManifest
    save_every: int
    tensorboard: bool = False
    sinks: list[MetricSink] = field(default_factory=list)
    _interrupted: bool = False

    def updates(self, total: int, state: Mapping[str, Stateful]) -> Iterator[int]:
        """Yield the updates still to do, 0-based; restores `state` first, saves it every `save_every` and at the end.

        Ctrl-C lets the update in progress finish, saves, and raises `Interrupted` with the way to go on. Raises `ResumeError`
        if another process is at work in the folder.
        """
        self._begin()
        with _alone_in(self.folder):
            yield from self._updates(total, state)

    def _updates(self, total: int, state: Mapping[str, Stateful]) -> Iterator[int]:
        start = self._restore(state)
        with self._listen_for_interrupts(), Progress(self.manifest.step, total=total, done=start) as progress, self._tensorboard(start):
            self.sinks.append(progress.metrics)
            for update in range(start, total):
                yield update
                done, stop = update + 1, self._interrupted
                progress.advance(done)
                if stop or done == total or done % self.save_every == 0:
                    self._save(done, state)
                if stop and done < total:
                    raise Interrupted(
                        f"stopped after update {done} of {total}; saved. To go on, give the same command again:\n  {self.manifest.command}"
                    )

    def log(self, update: int, metrics: Mapping[str, float]) -> None:
        """Append one line to metrics.jsonl and show it; keys that differ between equal runs start with `time/`."""
        _append(self.folder / "metrics.jsonl", [{"update": update, **metrics}])
        for sink in self.sinks:
            sink(update, metrics)

    def logged(self) -> list[dict[str, float]]:
        """Every line of metrics.jsonl so far, of all lives of the run."""
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]

    def sample(self, update: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append what the model says at this update to samples.jsonl."""
        _append(self.folder / "samples.jsonl", [{"update": update, **row} for row in rows])

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the closing figures and drop the resumable state, which a finished run no longer needs."""
        write_json(self.folder / FINISHED, summary)
        _drop_checkpoints(self.folder)

    def save_offender(self, batch: Mapping[str, Any]) -> Path:
        """Keep the batch that broke a guard, for inspection (law E1)."""
        path = self.folder / "offending_batch.pt"
        torch.save(dict(batch), path)
        return path

    def _begin(self) -> None:
        path = self.folder / MANIFEST
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(path, self.manifest.to_json())

    def _save(self, done: int, state: Mapping[str, Stateful]) -> None:
        saved = {name: item.state_dict() for name, item in state.items()}
        for name, tensor in _tensors(saved):
            require_finite({}, **{f"{name} after update {done}": tensor})  # the checkpoint before stays (law E1)
        checkpoints = self.folder / "checkpoints"
        final, partial = checkpoints / f"update-{done:06d}", checkpoints / f".writing-{done:06d}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        lengths = {name: _size(self.folder / name) for name in LOGS}
        with open(partial / "state.pt", "wb") as file:
            torch.save({"done": done, "lengths": lengths, "state": saved}, file)
            _flush(file)
        sync(partial)
        partial.rename(final)
        sync(checkpoints)
        for older in checkpoints.iterdir():
            if older != final:
                shutil.rmtree(older, ignore_errors=True)

    def _restore(self, state: Mapping[str, Stateful]) -> int:
        saved = _saved(self.folder / "checkpoints")
        if not saved:
            self._cut_logs(dict.fromkeys(LOGS, 0))
            return 0
        done, lengths, states = _read_newest(saved)
        for name, item in state.items():
            item.load_state_dict(states[name])
        self._cut_logs(lengths)
        return done

    def _cut_logs(self, lengths: Mapping[str, int]) -> None:
        """Cut what was logged after the checkpoint, so that the finished files equal those of a run that never stopped."""
        for name, length in lengths.items():
            path = self.folder / name
            if length > 0 and (not path.exists() or path.stat().st_size < length):
                raise ResumeError(
                    f"{path} is shorter than when the checkpoint was saved",
                    expected=f"the {length} bytes it held then",
                    remedy="restore the file, or remove the run folder and start again",
                )
        for name, length in lengths.items():
            with open(self.folder / name, "ab") as file:
                file.truncate(length)

    @contextmanager
    def _tensorboard(self, start: int) -> Iterator[None]:
        with tensorboard_sink(self.folder, start=start) if self.tensorboard else nullcontext() as sink:
            self.sinks = [sink] if sink else []
            yield

    @contextmanager
    def _listen_for_interrupts(self) -> Iterator[None]:
        def remember(_signal: int, _frame: FrameType | None) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
            # Not print: the signal may come in the middle of another one.
            os.write(STDERR, b"\nfinishing this update, then saving; once more to stop at once\n")

        try:
            before = [(number, signal.signal(number, remember)) for number in (signal.SIGINT, signal.SIGTERM)]
        except ValueError:  # only the main thread may listen for signals; a run in another thread is stopped by its owner
            before = []
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)


def open_run(folder: Path, manifest: RunManifest, *, save_every: int, tensorboard: bool = False, allow_inexact: bool = False) -> Run:
    """A run to start in an empty folder, or to go on with; raises `RunFinished`, or `ResumeError` if it is another one.

    Nothing is written before the first update: a mistake that is found while models are loaded leaves no trace.
    """
    if tensorboard:
        require_tensorboard()
    path = folder / MANIFEST
    if path.exists():
        there = _read_manifest(path)
        finished = (folder / FINISHED).exists()  # then nothing is computed any more that other code or threads could change
        _refuse_other_run(folder, there, manifest, allow_inexact=allow_inexact or finished)
        if finished:
            _drop_checkpoints(folder)
            raise RunFinished(f"{folder} is already finished; nothing was done")
    elif folder.exists() and {entry.name for entry in folder.iterdir()} - BEFORE_MANIFEST:
        raise ResumeError(f"{folder} is not empty and holds no run", expected="a new folder or a run to resume", remedy="choose another --out")
    return Run(folder=folder, manifest=manifest, save_every=save_every, tensorboard=tensorboard)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file so that a reader sees the old one or the new one, never a part."""
    partial = path.with_name(f".{path.name}.writing")
    with open(partial, "w") as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")
        _flush(file)
    partial.replace(path)
    sync(path.parent)


@contextmanager
def timed(times: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds spent inside to `times["time/name"]`."""
    start = time.perf_counter()
    yield
    key = TIME_PREFIX + name
    times[key] = times.get(key, 0.0) + time.perf_counter() - start


def _refuse_other_run(folder: Path, there: RunManifest, here: RunManifest, *, allow_inexact: bool) -> None:
    old, new = _flat(there.to_json()), _flat(here.to_json())
    differences = {key: (old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)}
    inexact = {key for key in differences if key.startswith("environment.") or key == "code_version"}
    ignored = {key for key in differences if key.split(".")[0] in RunManifest.NEVER_COMPARED}
    blocking = sorted(set(differences) - ignored - (inexact if allow_inexact else set()))
    if not blocking:
        return
    shown = "; ".join(f"{key}: {differences[key][0]!r} there, {differences[key][1]!r} here" for key in blocking[:8])
    only_inexact = set(blocking) <= inexact
    raise ResumeError(
        f"{folder} holds another run ({shown})",
        expected="the same config, data, models, tokenizer, code and library versions as the run to resume",
        remedy="add --allow-inexact to go on without bit-equality" if only_inexact else "choose another --out, or give the settings of that run",
    )


def _read_manifest(path: Path) -> RunManifest:
    try:
        return RunManifest.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, DataError) as error:
        raise ResumeError(
            f"{path} cannot be read: {first_line(error)}",
            expected="the manifest that was written when the run began",
            remedy="restore it from a copy, or choose another --out: without it nobody can say whether this is the same run",
        ) from error


def _saved(checkpoints: Path) -> list[Path]:
    """The resumable states, from oldest to newest; a folder that lost its file counts, so that nothing is trained anew unasked."""
    numbers = {folder: folder.name.removeprefix("update-") for folder in checkpoints.glob("update-*")}
    return sorted((folder for folder, number in numbers.items() if number.isdecimal()), key=lambda folder: int(numbers[folder]))


def _read_newest(saved: Sequence[Path]) -> tuple[int, Mapping[str, int], Mapping[str, Any]]:
    """Updates done, lengths of the logs then, and what each part of the state was."""
    newest = saved[-1]
    try:
        checkpoint = torch.load(newest / "state.pt", map_location="cpu", weights_only=True)
        return int(checkpoint["done"]), checkpoint["lengths"], checkpoint["state"]
    except BROKEN as error:
        done = int(newest.name.removeprefix("update-"))
        goes_on = f"goes on from {saved[-2].name}" if len(saved) > 1 else "starts from its beginning"
        raise ResumeError(
            f"{newest / 'state.pt'} cannot be read: {first_line(error)}",
            expected=f"the whole file that was saved after update {done}",
            remedy=f"restore it from a copy; or remove {newest} and give the same command again: the run then {goes_on} and loses what it did since",
        ) from error


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes; the hold ends with the process, however that dies."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ResumeError(f"another process is training in {folder}", expected="one at a time", remedy="wait for it, or stop it") from error
        yield
    finally:
        os.close(descriptor)


def _drop_checkpoints(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {key: leaf for name, item in value.items() for key, leaf in _flat(item, f"{prefix}.{name}" if prefix else str(name)).items()}


def _tensors(value: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every floating-point tensor in nested dictionaries and lists, by its place."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield name, value
        return
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        yield from _tensors(item, f"{name}.{key}" if name else str(key))


def _append(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with open(path, "a") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _size(path: Path) -> int:
    """Bytes of a log that are safely on disk, so that a later truncation to this length finds them."""
    with open(path, "ab") as file:
        _flush(file)
        return file.tell()


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
