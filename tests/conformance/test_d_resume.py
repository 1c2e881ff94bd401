"""Laws D2 and D3: a run that was stopped and resumed is the run that never stopped; another run is refused."""

import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from instructloop.cli.main import main
from instructloop.errors import Interrupted, ResumeError, RunFinished
from instructloop.model.checkpoint import save_checkpoint_dir
from instructloop.model.policy import load_policy
from instructloop.records import Demonstration
from instructloop.steps import provenance
from instructloop.steps.running import Run
from instructloop.store.snapshots import freeze, read_split
from instructloop.text.tokenizer import load_tokenizer, train_tokenizer
from run_files import RUNS, assert_same_run, everything_on_disk, run_sft
from step_world import MANIFEST, TinyWorld, tiny_config

steps = pytest.mark.parametrize("step", RUNS)


class PulledPlug(Exception):
    """The end of a process, as far as the run is concerned."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return TinyWorld.make(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def straight(world: TinyWorld) -> Callable[[str], Path]:
    """The run of a step that was never stopped; made once."""

    def run(step: str) -> Path:
        out = world.folder / "straight" / step / "run"
        return out if out.exists() else RUNS[step](world, out).parent

    return run


def after_update(number: int, happens: Callable[[], None]) -> Callable[[Run, int, Mapping[str, float]], None]:
    """A `Run.log` at whose given update something happens, once it is logged."""
    log = Run.log

    def logged(self: Run, update: int, metrics: Mapping[str, float]) -> None:
        log(self, update, metrics)
        if update == number:
            happens()

    return logged


def pull_plug(*_: object) -> None:
    raise PulledPlug


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@steps
def test_killed_between_checkpoints(step: str, world: TinyWorld, straight: Callable[[str], Path], tmp_path: Path) -> None:
    """Update 3 (of 4 and more) is logged and lost: the checkpoint is of update 2."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "log", after_update(2, pull_plug))
        with pytest.raises(PulledPlug):
            RUNS[step](world, tmp_path / "run")
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3
    assert not (tmp_path / "run" / "model").exists()
    RUNS[step](world, tmp_path / "run")
    assert_same_run(tmp_path / "run", straight(step))


@pytest.mark.parametrize(("step", "stop"), [*((step, press_ctrl_c) for step in RUNS), ("sft", terminate)])
def test_stopped_by_signal(step: str, stop: Callable[[], None], world: TinyWorld, straight: Callable[[str], Path], tmp_path: Path) -> None:
    """The update in progress is finished and saved, wherever checkpoints are due; SFT stops at the boundary of an epoch here."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "log", after_update(2, stop))
        with pytest.raises(Interrupted, match=r"stopped after update 3 of \d+; saved.*\n +instructloop") as caught:
            RUNS[step](world, tmp_path / "run")
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert [folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir()] == ["update-000003"]
    RUNS[step](world, tmp_path / "run")
    assert_same_run(tmp_path / "run", straight(step))


@steps
def test_killed_before_the_first_checkpoint(step: str, world: TinyWorld, straight: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "log", after_update(0, pull_plug))
        with pytest.raises(PulledPlug):
            RUNS[step](world, tmp_path / "run")
    RUNS[step](world, tmp_path / "run")
    assert_same_run(tmp_path / "run", straight(step))


@steps
def test_killed_when_all_was_done_but_the_last_line(step: str, world: TinyWorld, straight: Callable[[str], Path], tmp_path: Path) -> None:
    """After the last update and its checkpoint, and `model/`, but before `finished.json`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "finish", pull_plug)
        with pytest.raises(PulledPlug):
            RUNS[step](world, tmp_path / "run")
    assert (tmp_path / "run" / "model").exists()
    RUNS[step](world, tmp_path / "run")
    assert_same_run(tmp_path / "run", straight(step))


def test_killed_while_cleaning_up(world: TinyWorld, straight: Callable[[str], Path], tmp_path: Path) -> None:
    """Between `finished.json` and the end of the checkpoints: the run is finished, and the next call cleans up."""
    run_sft(world, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "update-000006").mkdir(parents=True)
    with pytest.raises(RunFinished):
        run_sft(world, tmp_path / "run")
    assert_same_run(tmp_path / "run", straight("sft"))


def test_half_written_checkpoints_are_ignored(world: TinyWorld, straight: Callable[[str], Path], tmp_path: Path) -> None:
    out = stopped_sft(world, tmp_path)
    half = out / "checkpoints" / ".writing-000005"
    half.mkdir()
    (half / "state.pt").write_bytes((out / "checkpoints" / "update-000003" / "state.pt").read_bytes()[:1000])
    shutil.copytree(straight("sft") / "model", out / ".model.writing")
    run_sft(world, out)
    assert_same_run(out, straight("sft"))


def stopped_sft(world: TinyWorld, folder: Path) -> Path:
    """An SFT run with 3 of its 6 updates done."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "log", after_update(2, press_ctrl_c))
        with pytest.raises(Interrupted):
            run_sft(world, folder / "run")
    return folder / "run"


def assert_refused(world: TinyWorld, out: Path, difference: str, config: Any = None, **named: Any) -> str:
    """The difference is in the message, and not a byte on disk has moved."""
    before = everything_on_disk(out)
    with pytest.raises(ResumeError) as caught:
        run_sft(world, out, config, **named)
    assert difference in str(caught.value)
    assert everything_on_disk(out) == before
    return caught.value.remedy


def test_a_changed_config_is_refused(world: TinyWorld, tmp_path: Path) -> None:
    out, config = stopped_sft(world, tmp_path), tiny_config()
    slower = replace(config, sft=replace(config.sft, optimizer=replace(config.sft.optimizer, lr=1e-3)))
    for allow_inexact in (False, True):
        remedy = assert_refused(world, out, "config.sft.optimizer.lr: 0.003 there, 0.001 here", slower, allow_inexact=allow_inexact)
        assert "--out" in remedy
    other_seed = replace(config, run=replace(config.run, seed=4))
    assert_refused(world, out, "seed: 0 there, 4 here", other_seed)


def test_a_section_that_the_step_does_not_read_may_change(world: TinyWorld, straight: Callable[[str], Path], tmp_path: Path) -> None:
    out, config = stopped_sft(world, tmp_path), tiny_config()
    run_sft(world, out, replace(config, reward=replace(config.reward, epochs=3)))
    assert_same_run(out, straight("sft"))


def test_changed_data_are_refused(world: TinyWorld, tmp_path: Path) -> None:
    out = stopped_sft(world, tmp_path / "a")
    other = TinyWorld(tmp_path / "b")
    for name in ("documents", "demonstrations"):
        shutil.copytree(world.snapshot(name), other.snapshot(name))
    shutil.copytree(world.folder / "policy", other.folder / "policy")
    kept = {split: list(read_split(world.snapshot("demonstrations"), split, Demonstration))[1:] for split in ("train", "valid")}
    shutil.rmtree(other.snapshot("demonstrations"))
    freeze(other.snapshot("demonstrations"), kept, query="one less")
    assert_refused(other, out, "snapshots.demonstrations: ", allow_inexact=True)


def test_a_changed_tokenizer_or_base_is_refused(world: TinyWorld, tmp_path: Path) -> None:
    out = stopped_sft(world, tmp_path / "a")
    other = TinyWorld(tmp_path / "b")
    shutil.copytree(world.folder / "data", other.folder / "data")
    policy = load_policy(world.policy, precision="fp32", tokenizer=load_tokenizer(world.policy), context=64)
    retrained = train_tokenizer(["another language altogether"] * 4, vocab=262)
    save_checkpoint_dir(other.policy, policy, retrained, manifest=MANIFEST, card="")
    assert_refused(other, out, "parents.tokenizer: ", allow_inexact=True)
    with torch.no_grad():
        policy.get_input_embeddings().weight[0] += 1
    save_checkpoint_dir(other.policy, policy, load_tokenizer(world.policy), manifest=MANIFEST, card="")
    assert_refused(other, out, "parents.base: ", allow_inexact=True)


@pytest.mark.parametrize(
    ("module", "name", "value", "difference"),
    [
        (torch, "get_num_threads", lambda: 7, "environment.threads: '1' there, '7' here"),
        (transformers, "__version__", "5.999.0", "environment.transformers: "),
        (provenance, "code_version", lambda: "0+edited", "code_version: "),
    ],
)
def test_inexact_differences_pass_when_allowed(
    module: Any, name: str, value: Any, difference: str, world: TinyWorld, straight: Callable[[str], Path], tmp_path: Path
) -> None:
    """Threads, library versions and code may differ with `--allow-inexact`; the error says so."""
    out = stopped_sft(world, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, value)
        assert "--allow-inexact" in assert_refused(world, out, difference)
        both = replace(tiny_config(), sft=replace(tiny_config().sft, epochs=3))
        assert_refused(world, out, "config.sft.epochs: 2 there, 3 here", both, allow_inexact=True)
        run_sft(world, out, allow_inexact=True)
    assert (out / "finished.json").exists()


def test_a_finished_run_says_so(world: TinyWorld, straight: Callable[[str], Path]) -> None:
    out = straight("sft")
    before = everything_on_disk(out)
    with pytest.raises(RunFinished, match="already finished"):
        run_sft(world, out)
    assert everything_on_disk(out) == before


def test_finished_and_interrupted_on_the_command_line(world: TinyWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """130 when stopped, 0 when finished, 0 again when there is nothing left to do."""
    words = ["sft", "tiny", "--model", world.policy, "--demonstrations", str(world.snapshot("demonstrations")), "--out", str(tmp_path / "run")]
    words += ["--sft.batch", "42", "--run.precision", "fp32"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "log", after_update(1, press_ctrl_c))
        assert main(words) == 130
    assert "stopped after update 2 of 4; saved" in capsys.readouterr().err
    assert main(words) == 0
    assert main(words) == 0
    assert "already finished; nothing was done" in capsys.readouterr().err
    assert main([*words, "--sft.epochs", "1"]) == 2
    assert "config.sft.epochs: 2 there, 1 here" in capsys.readouterr().err
