"""From finished runs to a page: tables and pictures of several seeds, written where the documentation keeps them.

    root/
      base/                       made once
      seed-0/  seed-1/  seed-2/   each with the run folders of RUNS and an evaluation.json

What is shown stands in three lists, PICTURES, TABLES and RUNS; a name that a run does not have is left out of the page.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from instructloop.errors import DataError
from instructloop.evals.plots import Labels, calibration_svg, curves_svg, histogram_svg
from instructloop.store.jsonl import read_jsonl

RUNS = ("base", "sft", "sft_ptx_init", "reward", "reward_held_out", "ppo", "ppo_ptx")
"""Run folders in the order in which they are made."""

POLICIES = {"sft": "SFT", "start": "start of PPO", "ppo": "PPO", "ppo_ptx": "PPO-ptx"}
"""Name in evaluation.json -> name in the tables."""

Curve = tuple[list[float], list[float]]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Curves in one picture: legend -> (run folder, metric)."""

    name: str
    labels: Labels
    lines: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of one table: what the reader sees -> dotted path into evaluation.json."""

    title: str
    rows: Mapping[str, str]


def _pictures() -> Iterator[Picture]:
    nats, both = "nats per token", ("ppo", "ppo_ptx")
    legend = {"ppo": "PPO", "ppo_ptx": "PPO-ptx"}

    def of_both(name: str, title: str, metric: str, y: str) -> Picture:
        return Picture(name=name, labels=Labels(title=title, x="iteration", y=y), lines={legend[run]: (run, metric) for run in both})

    yield Picture(
        name="base_loss",
        labels=Labels(title="Base: loss on text", x="update", y=nats),
        lines={"train": ("base", "loss"), "held-out text": ("base", "valid_loss")},
    )
    yield Picture(
        name="sft_loss",
        labels=Labels(title="SFT: loss on answers", x="update", y=nats),
        lines={"train": ("sft", "loss"), "validation": ("sft", "valid_loss")},
    )
    yield Picture(
        name="reward_accuracy",
        labels=Labels(title="Reward models: pairwise accuracy on the batch", x="update", y="accuracy"),
        lines={"reward model": ("reward", "accuracy"), "held-out reward model": ("reward_held_out", "accuracy")},
    )
    yield of_both("score", "Score by the reward model, sampled answers", "score", "score")
    yield of_both("valid_score", "Score by the reward model, validation prompts", "valid_score", "score")
    yield of_both("held_out_score", "Score by the held-out reward model, validation prompts", "valid_heldout_score", "score")
    yield of_both("kl", "Distance from the start of PPO", "kl", "nats per answer")
    yield of_both("pretraining_loss", "Loss on pretraining text", "pretraining_loss", nats)


PICTURES = tuple(_pictures())

TABLES = (
    Table(
        title="Reward: pairwise accuracy on the test rankings",
        rows={
            "reward model": "reward.accuracy",
            "held-out reward model": "reward_held_out.accuracy",
            "length only": "baselines.length_only",
            "bag of words": "baselines.bag_of_words",
            "reward model − length only": "baselines.over_length_only",
            "reward model − bag of words": "baselines.over_bag_of_words",
        },
    ),
    Table(title="Reward: log loss and calibration", rows={"log loss": "reward.log_loss", "expected error": "reward.calibration.expected_error"}),
    Table(
        title="Score by the held-out reward model, test prompts",
        rows={
            **{title: f"policies.{name}.held_out_score" for name, title in POLICIES.items()},
            "PPO − start": "gain_over_start.ppo_held_out",
            "PPO-ptx − start": "gain_over_start.ppo_ptx_held_out",
        },
    ),
    Table(
        title="Score by the reward model that PPO was trained against, test prompts",
        rows={
            **{title: f"policies.{name}.score" for name, title in POLICIES.items()},
            "PPO − start": "gain_over_start.ppo_reward",
            "PPO-ptx − start": "gain_over_start.ppo_ptx_reward",
        },
    ),
    Table(
        title="Distance from the start of PPO, nats per answer, test prompts",
        rows={title: f"policies.{name}.kl_to_start" for name, title in POLICIES.items() if name != "start"},
    ),
    Table(title="Tokens of an answer", rows={title: f"policies.{name}.response_tokens" for name, title in POLICIES.items()}),
    Table(title="Share of answers that end by themselves", rows={title: f"policies.{name}.ended_share" for name, title in POLICIES.items()}),
    Table(
        title="Loss on held-out text, nats per token",
        rows={"trigram": "text.trigram", "base": "text.base", **{title: f"text.{name}" for name, title in POLICIES.items()}},
    ),
)


def write_results(root: Path, docs: Path, *, seeds: Sequence[int], intro: str = "", outlook: str = "") -> Path:
    """Write `docs/results.md` and `docs/img/*.svg` from the runs under `root`; returns the page.

    `intro` and `outlook` are Markdown put before and after: what was run, and what such a model can and cannot show.
    """
    evaluations = [_evaluation(root / f"seed-{seed}") for seed in seeds]
    images = docs / "img"
    images.mkdir(parents=True, exist_ok=True)
    parts = ["# Results", intro]
    parts += [_table(table, evaluations, seeds) for table in TABLES]
    parts += ["## Curves", *_draw_curves(root, images, seeds), *_draw_reward(evaluations[0], images)]
    parts += ["## Minutes inside updates and looks at validation", wall_times(root, seeds), outlook]
    page = docs / "results.md"
    page.write_text("\n\n".join(part for part in parts if part) + "\n")
    return page


def read_curve(run: Path, metric: str) -> Curve:
    """(updates, values) of one metric of a run folder, at the updates that have it; empty if there is no such run."""
    if not (run / "metrics.jsonl").exists():
        return [], []
    points = [(float(row["update"]), float(row[metric])) for _, row in read_jsonl(run / "metrics.jsonl") if row.get(metric) is not None]
    return [x for x, _ in points], [y for _, y in points]


def wall_times(root: Path, seeds: Sequence[int]) -> str:
    """A table of minutes per run and seed: the sum of the `time/` seconds that each update logged."""
    rows: list[list[str]] = []
    for name in RUNS:
        minutes = [_minutes(folder) for folder in _folders(root, name, seeds)]
        if any(minutes):
            rows.append([name, *(f"{m:.1f}" for m in minutes), *[""] * (len(seeds) - len(minutes))])
    return markdown_table(["run", *(f"seed {seed}" for seed in seeds)], rows)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; every row as long as the header."""
    for row in rows:
        assert len(row) == len(header), f"a row of {len(row)} cells under {len(header)} headings"
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _evaluation(folder: Path) -> Mapping[str, Any]:
    path = folder / "evaluation.json"
    if not path.exists():
        raise DataError(f"{path} does not exist", expected="an evaluated seed", remedy="finish the run of this seed, then evaluate it")
    return json.loads(path.read_text())


def _table(table: Table, evaluations: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> str:
    rows: list[list[str]] = []
    for title, path in table.rows.items():
        values = [_at(evaluation, path) for evaluation in evaluations]
        known = [_number(value) for value in values if value is not None]
        if known:
            rows.append([title, *(_shown(value) for value in values), f"{mean(known):.3f}"])
    if not rows:
        return ""
    return f"## {table.title}\n\n" + markdown_table(["", *(f"seed {seed}" for seed in seeds), "mean"], rows)


def _draw_curves(root: Path, images: Path, seeds: Sequence[int]) -> Iterator[str]:
    for picture in PICTURES:
        curves = {
            legend: [curve for folder in _folders(root, run, seeds) if (curve := read_curve(folder, metric))[0]]
            for legend, (run, metric) in picture.lines.items()
        }
        if drawn := {legend: lines for legend, lines in curves.items() if lines}:
            yield _save(images / f"{picture.name}.svg", picture.labels.title, curves_svg(drawn, picture.labels))


def _draw_reward(evaluation: Mapping[str, Any], images: Path) -> Iterator[str]:
    if calibration := _at(evaluation, "reward.calibration"):
        title = "Reward model: calibration, first seed"
        yield _save(images / "calibration.svg", title, calibration_svg(calibration, title=title))
    if scores := _at(evaluation, "reward.demonstrations"):
        labels = Labels(title="Scores of the demonstrations, first seed", x="score", y="demonstrations")
        yield _save(images / "demonstration_scores.svg", labels.title, histogram_svg(scores, labels))


def _save(path: Path, title: str, svg: str) -> str:
    path.write_text(svg)
    return f"![{title}](img/{path.name})"


def _folders(root: Path, run: str, seeds: Sequence[int]) -> list[Path]:
    return [root / "base"] if run == "base" else [root / f"seed-{seed}" / run for seed in seeds]


def _minutes(run: Path) -> float:
    if not (run / "metrics.jsonl").exists():
        return 0.0
    seconds = (
        value
        for _, row in read_jsonl(run / "metrics.jsonl")
        for key, value in row.items()
        if key.startswith("time/") and not key.endswith("_per_second")
    )
    return sum(seconds) / 60


def _at(tree: Mapping[str, Any], path: str) -> Any:
    here: Any = tree
    for name in path.split("."):
        here = here.get(name) if isinstance(here, Mapping) else None
    return here


def _number(value: Any) -> float:
    return float(value if isinstance(value, int | float) else value["mean"])


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value:.3f}"
