"""A reward model and its report: how often it agrees with labelers, how sure it may be, and what it gives the demonstrations.

run/
  report.json          pairwise accuracy overall and by K, source and labeler; log loss; calibration; histogram
  calibration.svg      drawn where matplotlib is installed
  histogram.svg
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from instructloop.config import Config
from instructloop.data.comparisons import RankedPrompt, load_rankings
from instructloop.errors import MissingExtra, RunFinished
from instructloop.evals.plots import Labels, calibration_svg, histogram_svg
from instructloop.evals.reward_report import histogram, reward_report
from instructloop.evals.statistics import Interval
from instructloop.model.scalar import ScalarModel, load_scalar
from instructloop.records import Ranking
from instructloop.steps.device import on_this_machine, place
from instructloop.steps.running import write_json
from instructloop.steps.step2_reward import DEMONSTRATION_SCORES, RewardInputs, score_rankings, train_reward
from instructloop.store.snapshots import read_split
from instructloop.text.tokenizer import Tokenizer, load_tokenizer

REPORT = "report.json"
PARTS_SHOWN = 9
"""Values of K, sources and labelers in the printed table: those with the most pairs; the report holds all."""


def train_with_report(config: Config, inputs: RewardInputs, folder: Path, *, allow_inexact: bool = False) -> Path:
    """Train a reward model and write its report beside it; returns its directory. Raises `RunFinished` when both are there."""
    try:
        train_reward(config, inputs, folder, allow_inexact=allow_inexact)
    except RunFinished:
        if (folder / REPORT).exists():
            raise
    report = make_report(RewardModel.load(folder / "model", config), inputs, json.loads((folder / DEMONSTRATION_SCORES).read_text())["scores"])
    write_report(folder, report)
    print_report(report)
    return folder / "model"


@dataclass(frozen=True)
class RewardModel:
    """A trained reward model, ready to score records."""

    scalar: ScalarModel
    tokenizer: Tokenizer
    config: Config

    @classmethod
    def load(cls, folder: Path, config: Config) -> "RewardModel":
        """The reward model of a run, on the run's device."""
        tokenizer, config = load_tokenizer(folder), on_this_machine(config)
        scalar = load_scalar(folder, precision=config.run.precision, tokenizer=tokenizer, context=config.text.context)
        return cls(place(scalar), tokenizer, config)

    def score_split(
        self, rankings: Path, split: str, admits: Callable[[Ranking], bool] = lambda _: True
    ) -> tuple[list[RankedPrompt], list[list[float]]]:
        """The rankings of a split that `admits` lets through and that have a pair, and the scores of their answers."""
        items, _ = load_rankings(filter(admits, read_split(rankings, split, Ranking)), self.tokenizer, self.config.text)
        return items, score_rankings(self.scalar, items, self.config, pad_id=self.tokenizer.pad_id)


def make_report(reward: RewardModel, inputs: RewardInputs, demonstrations: Sequence[float]) -> dict[str, Any]:
    """What `evals.reward_report` says of the split `valid`, and of the scores of the demonstrations; without a pair, of these alone."""
    items, scores = reward.score_split(inputs.rankings, "valid")
    if not items:
        return {"prompts": 0, "pairs": 0, "demonstrations": histogram(demonstrations)}
    return reward_report(items, scores, demonstrations)


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write the report, and its pictures where matplotlib is installed; the report last, as the sign that all is there."""
    scores = Labels(title="Scores of the demonstrations", x="score", y="demonstrations")
    try:
        if report["pairs"]:
            (folder / "calibration.svg").write_text(calibration_svg(report["calibration"]))
        (folder / "histogram.svg").write_text(histogram_svg(report["demonstrations"], scores))
    except MissingExtra:
        print("without pictures: matplotlib is not installed (the extra [plots])")
    write_json(folder / REPORT, report)


def print_report(report: Mapping[str, Any]) -> None:
    """The report as a short table."""
    table = Table(title="Reward model on the validation rankings")
    for column in ("", "pairs", "mean [95 % interval over prompts]"):
        table.add_column(column, justify="right" if column == "pairs" else "left")
    if report["pairs"]:
        table.add_row("accuracy", f"{report['pairs']:,}", _interval(report["accuracy"]))
        for title, parts in (("K =", report["accuracy_by_k"]), ("source", report["accuracy_by_source"]), ("labeler", report["accuracy_by_labeler"])):
            for name in sorted(parts, key=lambda name: -parts[name]["pairs"])[:PARTS_SHOWN]:
                table.add_row(f"  {title} {name}", f"{parts[name]['pairs']:,}", _interval(parts[name]))
        table.add_row("log loss", f"{report['pairs']:,}", _interval(report["log_loss"]))
        table.add_row("calibration error", f"{report['pairs']:,}", f"{report['calibration']['expected_error']:.3f}")
    table.add_row("demonstrations", "", f"{report['demonstrations']['mean']:.3f} ± {report['demonstrations']['std']:.3f} (mean ± standard deviation)")
    Console().print(table)


def _interval(part: Mapping[str, Any]) -> str:
    return str(Interval(mean=part["mean"], low=part["low"], high=part["high"], n=part["n"]))
