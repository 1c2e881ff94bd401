"""The demo in several seeds, as a chapter of `docs/results.md`: every seed, mean and range, and no pooled interval.

python -m instructloop.loop.demo_record out/demo-0 out/demo-1 out/demo-2 --out docs/results_small_world.md
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from instructloop.evals.plain_words import findings, fixed
from instructloop.evals.report.inputs import ReportInputs
from instructloop.evals.results import MODEL_NAMES, Difference, Results
from instructloop.evals.statistics import Interval
from instructloop.loop.results import markdown_table
from instructloop.loop.scripts import run_script

SPREAD = ("mean", "lowest", "highest")


def chapter(runs: Sequence[Results], hacks: Sequence[Sequence[str]], note: str = "") -> str:
    """Markdown: what held in which seed, then a table each of win rates, of means, of the reward model, of paired losses and of time.

    `hacks` are the signs of reward hacking that were seen in each run, a sentence each; `note` says what was run, where and how.
    """
    parts = ["## In the small world", *([note] if note else []), _held(runs)]
    parts += ["### Share of comparisons won against SFT", _table(runs, _win_rates(), places=3)]
    for title, field, places in (
        ("Gold, the noise-free judge", "gold", 3),
        ("Score by the reward model", "score", 2),
        ("Nats per answer to the start of PPO", "kl", 2),
        ("Tokens of an answer", "response_tokens", 1),
        ("Loss on pretraining text, nats per token", "pretraining_loss", 3),
    ):
        parts += [f"### {title}", _table(runs, _means(field), places=places)]
    parts += ["### Pairs ordered as a held-out labeler did", _table(runs, _REWARD, places=3)]
    parts += ["### Paired differences of the loss on pretraining text, nats per token", _table(runs, _PAIRED, places=3)]
    parts += ["### Reward hacking that was seen", _seen(runs, hacks)]
    parts += ["### Seconds of a stage", _table(runs, _seconds(runs[0]), places=0)]
    return "\n\n".join(parts) + "\n"


Figure = Callable[[Results], tuple[float, str] | None]
"""What a row shows of a run: a number and its interval in words, "" where there is none; None where the run has no such figure."""


def _held(runs: Sequence[Results]) -> str:
    """Finding -> its verdict in every seed."""
    names = [finding.name for finding in findings(runs[0])]
    verdicts = [{finding.name: finding.verdict for finding in findings(run)} for run in runs]
    rows = [[name, *(verdict[name] for verdict in verdicts)] for name in names]
    return markdown_table(["finding of the paper", *(f"seed {run.seed}" for run in runs)], rows)


def _seen(runs: Sequence[Results], hacks: Sequence[Sequence[str]]) -> str:
    """A line for each sign, and one for each seed without any."""
    seen = [f"- seed {run.seed}: {said}" for run, those in zip(runs, hacks, strict=True) for said in those or ("none, which proves nothing.",)]
    return "\n".join(["Looked for by code in two signs, with 99 % intervals ([how](decisions.md#the-demo)):", "", *seen])


def _table(runs: Sequence[Results], rows: dict[str, Figure], *, places: int) -> str:
    lines: list[list[str]] = []
    for title, figure in rows.items():
        shown = [figure(run) for run in runs]
        if any(one is None for one in shown):
            continue
        numbers = np.array([one[0] for one in shown if one])
        spread = [fixed(float(number), places) for number in (numbers.mean(), numbers.min(), numbers.max())]
        lines.append([title, *(f"{fixed(one[0], places)}{one[1]}" for one in shown if one), *spread])
    return markdown_table(["", *(f"seed {run.seed}" for run in runs), *SPREAD], lines)


def _win_rates() -> dict[str, Figure]:
    def figure(name: str) -> Figure:
        def of(run: Results) -> tuple[float, str] | None:
            rate = getattr(run.models, name).win_rate_vs_sft
            return None if rate is None else (rate.mean, _between(rate))

        return of

    return {title: figure(name) for name, title in MODEL_NAMES.items()}


def _means(field: str) -> dict[str, Figure]:
    def figure(name: str) -> Figure:
        def of(run: Results) -> tuple[float, str] | None:
            value = getattr(getattr(run.models, name), field)
            return None if value is None else (value, "")

        return of

    return {title: figure(name) for name, title in MODEL_NAMES.items()}


def _seconds(first: Results) -> dict[str, Figure]:
    """Stages in the order in which they were run, their sum, and what to read them by."""
    stages: dict[str, Figure] = {stage: lambda run, stage=stage: (run.seconds[stage], "") for stage in first.seconds}
    stages["all stages"] = lambda run: (sum(run.seconds.values()), "")
    stages["GFLOP/s of a bf16 matrix product"] = lambda run: (run.gflops_bf16, "")
    stages["MB at the peak"] = lambda run: (run.peak_rss_mb, "")
    return stages


def _between(interval: Interval | Difference) -> str:
    return f" [{fixed(interval.low, 3)}, {fixed(interval.high, 3)}]"


_REWARD: dict[str, Figure] = {
    "reward model": lambda run: (run.reward_model.accuracy, _between(run.reward_model.interval)),
    "bag of words": lambda run: (run.reward_model.bag_of_words, ""),
    "length only": lambda run: (run.reward_model.length_only, ""),
    "another labeler": lambda run: (run.reward_model.labeler_agreement, ""),
}
_PAIRED: dict[str, Figure] = {
    "PPO − its start": lambda run: (run.paired.loss_ppo_minus_init.mean, _between(run.paired.loss_ppo_minus_init)),
    "PPO − PPO-ptx": lambda run: (run.paired.loss_ppo_minus_ppo_ptx.mean, _between(run.paired.loss_ppo_minus_ppo_ptx)),
}


def main() -> None:
    """Write the chapter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of the demo, a seed each")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--note", default="", help="a sentence or two under the heading")
    asked = parser.parse_args()
    runs = [Results.read(folder / "results.json") for folder in asked.folders]
    pages = [ReportInputs.from_json(json.loads((folder / "report_inputs.json").read_text(encoding="utf-8"))) for folder in asked.folders]
    asked.out.write_text(chapter(runs, [page.hacks for page in pages], asked.note), encoding="utf-8")
    print(asked.out)


if __name__ == "__main__":
    run_script(main)
