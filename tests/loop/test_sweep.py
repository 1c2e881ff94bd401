"""A sweep: one run folder per setting, one table; finished runs are skipped, broken ones noted."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from instructloop.config import Config
from instructloop.errors import CheckpointError, LawBroken, RunFinished
from instructloop.loop.axes import Axis, combinations, planned_runs
from instructloop.loop.sweep import run_sweep
from instructloop.recipes import RECIPES

COEFS = Axis("ppo.kl.coef", (0.3, 0.1, 0.2))


class Trainer:
    """Stands in for a step: its closing figures are simple functions of the config."""

    def __init__(self) -> None:
        self.trained: list[str] = []

    def __call__(self, config: Config, folder: Path) -> Path:
        if (folder / "finished.json").exists():
            raise RunFinished("there already")
        if config.ppo.kl.coef > 0.25:
            raise LawBroken("E1", expected="finite", came="nan", usual_cause="-")
        self.trained.append(folder.name)
        folder.mkdir(parents=True)
        figures = {"valid_end_score": 10 * config.ppo.kl.coef, "valid_loss": config.run.seed, "losses": [1, 2]}
        (folder / "finished.json").write_text(json.dumps(figures))
        return folder


def sweep(step: str, axes: Sequence[Axis], out: Path, train: Trainer) -> dict[str, Any]:
    runs = planned_runs(RECIPES["tiny"](), combinations(axes))
    return json.loads(run_sweep(step, axes, runs, out, train).read_text())


def test_every_setting_is_a_run_and_the_best_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = sweep("ppo", [COEFS], tmp_path / "sweep", train := Trainer())
    assert train.trained == ["ppo.kl.coef=0.1", "ppo.kl.coef=0.2"]
    assert found["best"] == "ppo.kl.coef=0.2"
    assert [(run["setting"], run["figures"].get("valid_end_score"), run["broken"]) for run in found["runs"]] == [
        ({"ppo.kl.coef": 0.3}, None, "law E1 is broken"), ({"ppo.kl.coef": 0.1}, 1.0, None), ({"ppo.kl.coef": 0.2}, 2.0, None),
    ]  # fmt: skip
    assert "law E1 is broken" in capsys.readouterr().out
    assert (tmp_path / "sweep" / "sweep.svg").read_text().startswith("<?xml")


def test_finished_runs_are_skipped_and_more_values_added(tmp_path: Path) -> None:
    sweep("ppo", [Axis("ppo.kl.coef", (0.1,))], tmp_path, first := Trainer())
    found = sweep("ppo", [Axis("ppo.kl.coef", (0.1, 0.2))], tmp_path, second := Trainer())
    assert (first.trained, second.trained) == (["ppo.kl.coef=0.1"], ["ppo.kl.coef=0.2"])
    assert len(found["runs"]) == 2


def test_closing_figures_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    sweep("ppo", [Axis("ppo.kl.coef", (0.1,))], tmp_path, Trainer())
    (tmp_path / "ppo.kl.coef=0.1" / "finished.json").write_text('{"valid_sc')
    with pytest.raises(CheckpointError, match=r"coef=0\.1/finished\.json cannot be read"):
        sweep("ppo", [Axis("ppo.kl.coef", (0.1,))], tmp_path, Trainer())


def test_of_losses_the_lowest_is_best_and_two_settings_make_no_curve(tmp_path: Path) -> None:
    found = sweep("sft", [Axis("run.seed", (2, 1)), Axis("ppo.kl.coef", (0.1, 0.2))], tmp_path, Trainer())
    assert (found["main_figure"], found["best"]) == ("valid_loss", "run.seed=1+ppo.kl.coef=0.1")
    assert found["runs"][0]["run"] == "run.seed=2+ppo.kl.coef=0.1"
    assert not (tmp_path / "sweep.svg").exists()


def test_words_make_no_curve(tmp_path: Path) -> None:
    sweep("ppo", [Axis("ppo.kl.estimator", ("k1", "k2"))], tmp_path, Trainer())
    assert not (tmp_path / "sweep.svg").exists()


def test_a_sweep_of_broken_runs_only_has_no_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = sweep("ppo", [Axis("ppo.kl.coef", (0.3, 0.4))], tmp_path, Trainer())
    assert found["best"] is None
    assert "No run came to its end" in capsys.readouterr().out
