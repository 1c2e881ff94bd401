"""A run folder by itself: what is written when, what a stop leaves, what a resume takes up; with a counter for a model."""

import io
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from instructloop.errors import Interrupted, MissingExtra, ResumeError, RunFinished
from instructloop.records import RunManifest
from instructloop.steps import progress, running
from instructloop.steps.progress import Progress
from instructloop.steps.running import Run, open_run, timed, write_json

MANIFEST = RunManifest(run_id="run", step="sft", config={"a": {"b": 1}}, command="instructloop sft tiny", code_version="1", seed=0)
TOTAL = 7


class Counter:
    """The smallest thing that can be trained and saved."""

    def __init__(self) -> None:
        self.sum = 0

    def state_dict(self) -> dict[str, int]:
        return {"sum": self.sum}

    def load_state_dict(self, state: Mapping[str, int], /) -> None:
        self.sum = state["sum"]


def train(folder: Path, during: Callable[[int], None] = lambda update: None, **named: Any) -> Counter:
    """Add up the numbers of the updates; a checkpoint every three."""
    run, counter = open_run(folder, MANIFEST, save_every=3, **named), Counter()
    for update in run.updates(TOTAL, {"counter": counter}):
        counter.sum += update
        run.log(update, {"sum": counter.sum})
        run.sample(update, [{"text": "ä"}] if update % 2 else [])
        during(update)
    run.finish({"sum": counter.sum})
    return counter


def raising(number: int, error: BaseException) -> Callable[[int], None]:
    def during(update: int) -> None:
        if update == number:
            raise error

    return during


def lines(folder: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_nothing_is_written_before_the_first_update(tmp_path: Path) -> None:
    """A mistake found while models are loaded leaves no folder that could stand in the way of the next attempt."""
    run = open_run(tmp_path / "new" / "run", MANIFEST, save_every=3)
    assert not (tmp_path / "new").exists()
    updates = run.updates(TOTAL, {})
    next(updates)
    assert json.loads((run.folder / "manifest.json").read_text()) == json.loads(json.dumps(MANIFEST.to_json()))
    updates.close()


def test_a_finished_folder_holds_the_result_alone(tmp_path: Path) -> None:
    assert train(tmp_path / "run").sum == sum(range(TOTAL))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["finished.json", "manifest.json", "metrics.jsonl", "samples.jsonl"]
    assert [row["update"] for row in lines(tmp_path / "run", "samples.jsonl")] == [1, 3, 5]
    with pytest.raises(RunFinished):
        train(tmp_path / "run")


@pytest.mark.parametrize("number", range(TOTAL))
def test_killed_anywhere_it_ends_the_same(number: int, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="plug"):
        train(tmp_path / "run", raising(number, OSError("plug")))
    assert train(tmp_path / "run").sum == sum(range(TOTAL))
    assert [row["sum"] for row in lines(tmp_path / "run")] == [sum(range(n + 1)) for n in range(TOTAL)]
    assert [row["update"] for row in lines(tmp_path / "run", "samples.jsonl")] == [1, 3, 5]


def test_a_line_cut_in_half_is_cut_away(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="plug"):
        train(tmp_path / "run", raising(4, OSError("plug")))
    with open(tmp_path / "run" / "metrics.jsonl", "a") as file:
        file.write('{"update": 5, "su')
    train(tmp_path / "run")
    assert len(lines(tmp_path / "run")) == TOTAL


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:10])])
def test_a_log_that_lost_lines_is_not_papered_over(damage: Callable[[Path], object], tmp_path: Path) -> None:
    """A run resumed onto a missing or shortened log would hold figures of only a part of it."""
    with pytest.raises(OSError, match="plug"):
        train(tmp_path / "run", raising(4, OSError("plug")))
    damage(tmp_path / "run" / "metrics.jsonl")
    with pytest.raises(ResumeError, match=r"metrics\.jsonl is shorter than when the checkpoint was saved"):
        train(tmp_path / "run")


@pytest.mark.parametrize("kept", [None, 0, 10, 0.5, 0.99])
def test_a_damaged_state_is_refused_and_says_what_removing_it_costs(kept: float | None, tmp_path: Path) -> None:
    """Nothing is trained anew unasked; once the folder is removed the run starts again and ends the same."""
    with pytest.raises(OSError, match="plug"):
        train(tmp_path / "run", raising(4, OSError("plug")))
    newest = tmp_path / "run" / "checkpoints" / "update-000003"
    if kept is None:
        (newest / "state.pt").unlink()
    else:
        whole = (newest / "state.pt").read_bytes()
        (newest / "state.pt").write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(
        ResumeError,
        match=rf"{newest}/state\.pt cannot be read: (?s:.*)remove {newest} (?s:.*)the run then starts from its beginning and loses what it did since",
    ):
        train(tmp_path / "run")
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before
    shutil.rmtree(newest)
    assert train(tmp_path / "run").sum == sum(range(TOTAL))


def test_a_damaged_state_beside_an_older_one(tmp_path: Path) -> None:
    """Killed before the older one was removed: going on from there loses little."""
    with pytest.raises(OSError, match="plug"):
        train(tmp_path / "run", raising(4, OSError("plug")))
    newest = tmp_path / "run" / "checkpoints" / "update-000006"
    newest.mkdir()
    (newest / "state.pt").write_bytes(b"PK\x03\x04" + bytes(1000))
    with pytest.raises(ResumeError, match="the run then goes on from update-000003 and loses what it did since"):
        train(tmp_path / "run")
    shutil.rmtree(newest)
    assert train(tmp_path / "run").sum == sum(range(TOTAL))


@pytest.mark.parametrize("content", [b"", b'{"run_id": "ru', b"[]", b"{}", b"\xff\xfe"])
def test_a_damaged_manifest_is_one_clear_error(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="plug"):
        train(tmp_path / "run", raising(4, OSError("plug")))
    (tmp_path / "run" / "manifest.json").write_bytes(content)
    with pytest.raises(ResumeError, match=r"run/manifest\.json cannot be read: (?s:.*)choose another --out"):
        train(tmp_path / "run")


def test_an_empty_log_may_be_absent(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="plug"):
        train(tmp_path / "run", raising(1, OSError("plug")))
    (tmp_path / "run" / "samples.jsonl").unlink()
    assert train(tmp_path / "run").sum == sum(range(TOTAL))


def test_the_newest_checkpoint_counts_whatever_its_width(tmp_path: Path) -> None:
    """After a million updates names sort otherwise than numbers."""
    run, counter = Run(folder=tmp_path, manifest=MANIFEST, save_every=3), Counter()
    for done in (999_999, 1_000_000):
        counter.sum = done
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(running.shutil, "rmtree", lambda *_, **__: None)
            run._save(done, {"counter": counter})
    assert run._restore({"counter": counter}) == 1_000_000
    assert counter.sum == 1_000_000


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ResumeError, match="is not empty and holds no run"):
        train(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_killed_while_the_manifest_was_written(tmp_path: Path) -> None:
    (tmp_path / ".manifest.json.writing").write_text('{"ru')
    assert train(tmp_path).sum == sum(range(TOTAL))
    assert not (tmp_path / ".manifest.json.writing").exists()


def press(number: int, *signals: int) -> Callable[[int], None]:
    def during(update: int) -> None:
        if update == number:
            for name in signals:
                os.kill(os.getpid(), name)

    return during


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_finishes_the_update(name: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match=r"after update 2 of 7; saved\..*\n  instructloop sft tiny"):
        train(tmp_path / "run", press(1, name))
    assert "once more to stop at once" in capfd.readouterr().err
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert train(tmp_path / "run").sum == sum(range(TOTAL))


def test_the_second_signal_stops_at_once(tmp_path: Path) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", press(4, signal.SIGINT, signal.SIGINT))
    assert [folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir()] == ["update-000003"]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert train(tmp_path / "run").sum == sum(range(TOTAL))


def test_a_signal_in_the_last_update_does_not_keep_the_run_from_finishing(tmp_path: Path) -> None:
    assert train(tmp_path / "run", press(TOTAL - 1, signal.SIGINT)).sum == sum(range(TOTAL))
    assert (tmp_path / "run" / "finished.json").exists()


def test_an_error_gives_the_signals_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(OSError, match="plug"):
        train(tmp_path / "run", raising(2, OSError("plug")))
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_outside_the_main_thread_trains_without_signals(tmp_path: Path) -> None:
    thread = threading.Thread(target=train, args=(tmp_path / "run",))
    thread.start()
    thread.join()
    assert (tmp_path / "run" / "finished.json").exists()


def test_tensorboard_shows_the_life_that_counts(tmp_path: Path) -> None:
    """Updates 3 and 4 were seen twice, with other values the first time; the resumed run's are the ones that stand."""

    def figures(folder: Path) -> list[tuple[int, float]]:
        events = EventAccumulator(str(folder / "tensorboard"), purge_orphaned_data=True)
        events.Reload()
        return [(event.step, event.value) for event in events.Scalars("sum")]

    run, counter = open_run(tmp_path / "run", MANIFEST, save_every=3, tensorboard=True), Counter()
    updates = run.updates(TOTAL, {"counter": counter})
    for update in updates:
        run.log(update, {"sum": 100.0 + update})
        if update == 4:
            break
    updates.close()
    train(tmp_path / "run", tensorboard=True)
    seen = figures(tmp_path / "run")
    assert [step for step, _ in seen] == list(range(TOTAL))
    assert [value >= 100 for _, value in seen] == [True] * 3 + [False] * 4


def test_tensorboard_that_is_not_installed_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="tensorboard"):
        train(tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_a_json_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    write_json(tmp_path / "figures.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "figures.json", {"a": object()})
    assert json.loads((tmp_path / "figures.json").read_text()) == {"a": 1}


def test_times_add_up() -> None:
    times: dict[str, float] = {}
    for _ in range(2):
        with timed(times, "nothing"):
            pass
    assert times.keys() == {"time/nothing"}
    assert times["time/nothing"] > 0


def test_away_from_a_terminal_progress_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line at the start, one every 20 seconds, one at the end; no control characters."""
    clock = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    written = io.StringIO()
    with Progress("sft", total=100, console=Console(file=written)) as bar:
        for done in range(1, 101):
            clock[0] += 1
            bar.metrics(done, {"loss": 1 / done, "time/tokens_per_second": 3000.0})
            bar.advance(done)
    told = written.getvalue().splitlines()
    assert len(told) == 6
    assert told[0].startswith("sft 1/100  loss 1  tokens_per_second 3000  99 s left")
    assert told[-1].startswith("sft 100/100  loss 0.01")
    assert "\x1b" not in written.getvalue()


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    """Locks belong to open files, not to processes, so a second opening in this process stands for another process."""
    first = open_run(tmp_path / "run", MANIFEST, save_every=3).updates(TOTAL, {})
    next(first)
    second = open_run(tmp_path / "run", MANIFEST, save_every=3).updates(TOTAL, {})
    with pytest.raises(ResumeError, match="another process is training in"):
        next(second)
    first.close()
    assert train(tmp_path / "run").sum == sum(range(TOTAL))
