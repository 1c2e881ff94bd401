"""Cross-validation of the reward model by labeler group (paper §4.1, App. E.2): does it predict people it never learned from?

Labelers are put into N groups of about equal data. Each of N trainings leaves one group out, and is measured on validation
rankings of the others and on all training rankings of the group left out. The paper: 72.4 ± 0.4 % and 69.6 ± 0.9 %, N = 5.

    out/
      fold-1/ … fold-N/    normal run folders, each with held_out.json
      folds.json           groups and figures
      finished.json        mean ± standard error over the folds
"""

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from instructloop.config import Config
from instructloop.errors import ConfigError, ResumeError, RunFinished
from instructloop.loop.reward_run import RewardModel
from instructloop.records import Ranking
from instructloop.steps.running import write_json
from instructloop.steps.step2_reward import RewardInputs, Selection, agreement, train_reward
from instructloop.store.snapshots import read_split

FIGURES = {"valid_accuracy": "training labelers, validation", "held_out_accuracy": "labelers left out"}

Figures = dict[str, float | None]
"""Figure -> value; None where there was no pair to measure on."""


@dataclass(frozen=True)
class Fold:
    """One training: without the rankings of `left_out`."""

    number: int
    left_out: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"fold-{self.number}"

    @property
    def selection(self) -> Selection:
        """What this training reads."""
        return Selection(f"all but the labelers {', '.join(self.left_out)}", lambda ranking: ranking.labeler_id not in self.left_out)

    def is_left_out(self, ranking: Ranking) -> bool:
        return ranking.labeler_id in self.left_out


def cross_validate(config: Config, inputs: RewardInputs, out: Path, *, folds: int, allow_inexact: bool = False) -> Path:
    """Train and measure a reward model per fold; returns `folds.json`. Folds that are finished are not trained again."""
    counts = Counter(ranking.labeler_id for ranking in read_split(inputs.rankings, "train", Ranking))
    groups = labeler_groups(counts, folds)
    if (out / "manifest.json").exists():
        raise ResumeError(f"{out} is the folder of one training", expected="a folder for the folds", remedy="choose another --out")
    every = [Fold(number, group) for number, group in enumerate(groups, start=1)]
    figures = [_run_fold(fold, config, inputs, out / fold.name, allow_inexact=allow_inexact) for fold in every]
    summary = mean_and_error(figures)
    rows = [
        {"fold": fold.name, "left_out": list(fold.left_out), "rankings_left_out": sum(counts[labeler] for labeler in fold.left_out), **measured}
        for fold, measured in zip(every, figures, strict=True)
    ]
    write_json(out / "folds.json", {"folds": rows, "summary": summary})
    write_json(out / "finished.json", summary)
    _print_folds(rows, summary)
    return out / "folds.json"


def labeler_groups(counts: Mapping[str, int], groups: int) -> list[tuple[str, ...]]:
    """Labelers in groups of about equal data: from the busiest down, each joins the group with the fewest rankings so far.

    Raises `ConfigError` unless there are 2 groups at least and a labeler for each.
    """
    if not 2 <= groups <= len(counts):
        raise ConfigError(
            f"{groups} folds for the {len(counts)} labelers of these rankings",
            expected=f"2 to {len(counts)} folds, so that each leaves a labeler out" if len(counts) > 1 else "rankings of at least 2 labelers",
            remedy="choose another --folds, or leave it out to train one model on all rankings",
        )
    members: list[list[str]] = [[] for _ in range(groups)]
    rankings = [0] * groups
    for labeler in sorted(counts, key=lambda name: (-counts[name], name)):
        smallest = rankings.index(min(rankings))
        members[smallest].append(labeler)
        rankings[smallest] += counts[labeler]
    return [tuple(sorted(group)) for group in members]


def mean_and_error(folds: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Mean of each figure over the folds that have it, and the standard error of that mean (sample deviation / √n)."""
    summary: dict[str, float] = {}
    for name in FIGURES:
        values = [value for fold in folds if (value := fold[name]) is not None]
        if values:
            summary[name] = statistics.mean(values)
        if len(values) > 1:
            summary[f"{name}_standard_error"] = statistics.stdev(values) / len(values) ** 0.5
    return summary


def _run_fold(fold: Fold, config: Config, inputs: RewardInputs, folder: Path, *, allow_inexact: bool) -> Figures:
    with suppress(RunFinished):
        train_reward(config, inputs, folder, selection=fold.selection, allow_inexact=allow_inexact)
    measured = folder / "held_out.json"
    if not measured.exists():
        reward = RewardModel.load(folder / "model", config)
        known, known_scores = reward.score_split(inputs.rankings, "valid", fold.selection.admits)
        unknown, unknown_scores = reward.score_split(inputs.rankings, "train", fold.is_left_out)
        accuracies = (agreement(known_scores, known).get("valid_accuracy"), agreement(unknown_scores, unknown).get("valid_accuracy"))
        write_json(measured, dict(zip(FIGURES, accuracies, strict=True)))
    return json.loads(measured.read_text())


def _print_folds(rows: Sequence[Mapping[str, object]], summary: Mapping[str, float]) -> None:
    table = Table(title="Pairwise accuracy of the reward model, cross-validated by labeler group")
    for column in ("fold", "labelers left out", "their rankings", *FIGURES.values()):
        table.add_column(column, justify="left" if column == "fold" else "right")
    for row in rows:
        labelers = row["left_out"]
        assert isinstance(labelers, list)
        table.add_row(str(row["fold"]), f"{len(labelers)}", f"{row['rankings_left_out']}", *(_shown(row[name]) for name in FIGURES))
    table.add_section()
    closing = (f"{_shown(summary.get(name))} ± {_shown(summary.get(f'{name}_standard_error'))}" for name in FIGURES)
    table.add_row("mean ± error", "", "", *closing)
    Console().print(table)


def _shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "–"
