"""What the report of the demo shows beside its results: counts, curves, distances, use-cases, examples, and what was gamed."""

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from instructloop.config import Config
from instructloop.evals.report.inputs import POLICIES, Answer, Counts, Curve, Curves, Distance, Example, PolicyCurves, ReportInputs
from instructloop.evals.statistics import Interval
from instructloop.lab.judge import judge
from instructloop.loop.hacks import hacks
from instructloop.loop.judged import Judged, Trained
from instructloop.loop.judging import win_rates_by_use_case
from instructloop.loop.recorded import closing_figures
from instructloop.loop.small_world import SmallWorld
from instructloop.records import USE_CASES, Ranking
from instructloop.steps.device import CPUINFO, device
from instructloop.store.jsonl import read_jsonl
from instructloop.store.snapshots import read_split

Rows = Sequence[Mapping[str, Any]]
"""Lines of a metrics.jsonl."""
USE_CASE = "use_case/"


def report_inputs(world: SmallWorld, trained: Trained, judged: Judged) -> ReportInputs:
    """Everything that the page shows and that is not in `results.json`."""
    runs = {name: getattr(trained, name).parent for name in POLICIES}
    return ReportInputs(
        machine=machine(),
        base_parameters=judged.base_parameters,
        departures=departures(world.config, judged.base_parameters),
        counts=_counts(world, judged),
        curves=_curves(world.config, trained, runs),
        distances={name: tuple(distances(run)) for name, run in runs.items()},
        reward=judged.trial.page,
        win_rates=_win_rates(judged),
        examples=examples(judged),
        hacks=tuple(hacks(judged.use_cases, judged.behaviours)),
    )


def machine() -> str:
    """Processor, cores and libraries, in a few words."""
    names = [line.split(":", 1)[1].strip() for line in CPUINFO.read_text().splitlines() if line.startswith("model name")] if CPUINFO.exists() else []
    processor = next(iter(names), platform.processor() or platform.machine())
    place = torch.cuda.get_device_name() if device().type == "cuda" else "the processor"
    return f"{processor}, {os.cpu_count()} cores; torch {torch.__version__} on {place} with {torch.get_num_threads()} threads"


def departures(config: Config, base_parameters: int) -> tuple[str, ...]:
    """What is otherwise than in the paper, a sentence each."""
    sft, ppo = config.sft_ptx_init, config.ppo
    said = [
        f"The base has {base_parameters:,} parameters and knows a small world in simple English; the paper’s smallest has 1.3 billion. "
        "Learning rates are to match.",
        f"One SFT model is the opponent that all are judged against and the start of PPO in one. It is trained for {sft.epochs} epochs (the "
        f"paper: 16 the one and 2 the other), with pretraining text as {sft.pretraining_share:.0%} of its examples.",
        f"The reward model reads {config.reward.batch} prompts in an update, the paper’s 64.",
        f"PPO makes {ppo.iterations} iterations of {ppo.episodes} episodes in {ppo.minibatches} minibatches; the paper 500 of 512 in 8.",
        f"Residual dropout of SFT is {sft.residual_dropout:g}, the paper’s 0.2.",
        "PPO answers the prompts that were demonstrated and ranked as well as others.",
        f"Its learning rates warm up over {ppo.optimizer.warmup} iterations, the paper’s over 10.",
        f"PPO-ptx reads {ppo.ptx_ratio} pretraining example{'s' if ppo.ptx_ratio > 1 else ''} of {ppo.ptx_length} tokens for each episode, the "
        f"paper 8. γ_ptx is {ppo.ptx_coef:g}, between means per token; the paper’s 27.8 belongs to a normalisation that it does not state.",
    ]
    if ppo.value_warmup:
        said.append(f"In PPO’s first {ppo.value_warmup} iterations the value network learns alone; in the paper it never does.")
    if ppo.kl.coef != 0.02:
        said.append(f"β is {ppo.kl.coef:g}, the paper’s 0.02.")
    return tuple(said)


def examples(judged: Judged) -> tuple[Example, ...]:
    """The first test prompt of each use-case, in the paper's order of use-cases, with every model's answer."""
    firsts = [judged.use_cases.index(use_case) for use_case in USE_CASES if use_case in judged.use_cases]
    return tuple(
        Example(
            prompt=judged.prompts[row].text,
            use_case=judged.use_cases[row],
            answers={name: _answer(judged.prompts[row].text, texts[row]) for name, texts in judged.texts.items()},
        )
        for row in firsts
    )


def _answer(prompt: str, text: str) -> Answer:
    verdict = judge(prompt, text)
    return Answer(text=text, gold=verdict.gold, reasons=verdict.reasons)


def _counts(world: SmallWorld, judged: Judged) -> Counts:
    prompts, sizes, ppo = world.prompts(), world.sizes, world.config.ppo
    rankings = [ranking for split in ("train", "valid") for ranking in read_split(world.rankings(), split, Ranking)]
    ks, pairs = [len(ranking.completions) for ranking in rankings], sum(len(ranking.pairs) for ranking in rankings)
    opponents = len(judged.answered) - 1
    return Counts(
        users=len({prompt.user_id for prompt in prompts}),
        prompts=len(prompts),
        demonstrations=sizes.demonstrations,
        labelers=len({ranking.labeler_id for ranking in rankings}),
        rankings_by_k={str(k): count for k, count in sorted(Counter(ks).items())},
        pairs=pairs,
        tied_pairs=sum(k * (k - 1) // 2 for k in ks) - pairs,
        episodes=ppo.iterations * ppo.episodes,
        test_prompts=len(judged.prompts),
        judges=len(judged.people),
        judgements=opponents * len(judged.prompts) * len(judged.people),
    )


def _curves(config: Config, trained: Trained, runs: Mapping[str, Path]) -> Curves:
    sft, logged = metrics(trained.sft.parent), {name: metrics(run) for name, run in runs.items()}
    names = sorted({key.split("/")[1] for rows in logged.values() for row in rows for key in row if key.startswith(USE_CASE)})
    return Curves(
        sft_loss=curve(sft, "loss"),
        sft_valid_loss=curve(sft, "valid_loss", after=1),
        reward_accuracy=_reward_accuracy(config, trained.reward.parent),
        policies={name: _policy_curves(rows) for name, rows in logged.items()},
        by_use_case={name: _by_policy(logged, f"{USE_CASE}{name}/") for name in names},
        pretraining_loss={name: curve([*rows, _closing(runs[name], len(rows))], "pretraining_loss") for name, rows in logged.items()},
    )


def _by_policy(logged: Mapping[str, Rows], prefix: str) -> dict[str, PolicyCurves]:
    """Of the policies that were asked prompts of a use-case."""
    return {name: _policy_curves(rows, prefix) for name, rows in logged.items() if any(f"{prefix}kl" in row for row in rows)}


def _policy_curves(rows: Rows, prefix: str = "") -> PolicyCurves:
    return PolicyCurves(score=curve(rows, f"{prefix}score"), kl=curve(rows, f"{prefix}kl"), entropy=curve(rows, f"{prefix}entropy"))


def _reward_accuracy(config: Config, run: Path) -> Curve:
    """On each batch before its update, in the first epoch: those rankings are new to the model. Last, on the rankings held out."""
    rows = metrics(run)
    fresh = curve(rows[: max(1, len(rows) // config.reward.epochs)], "accuracy")
    return Curve(x=(*fresh.x, float(len(rows))), y=(*fresh.y, closing_figures(run)["valid_accuracy"]))


def distances(run: Path) -> list[Distance]:
    """At each look at the development prompts, the last one after the training."""
    rows = metrics(run)
    looks = [row for row in (*rows, _closing(run, len(rows))) if "valid_kl" in row]
    return [Distance(kl=row["valid_kl"], score=row["valid_score"], gold=row["valid_heldout_score"]) for row in looks]


def metrics(run: Path) -> list[dict[str, Any]]:
    """What a run logged, a row for each update."""
    return [row for _, row in read_jsonl(run / "metrics.jsonl")]


def curve(rows: Rows, name: str, *, after: int = 0) -> Curve:
    """A figure where it was logged, over the number of updates before it: `after` is 1 for what was measured after its update."""
    points = [(float(row["update"] + after), float(row[name])) for row in rows if name in row]
    return Curve(x=tuple(x for x, _ in points), y=tuple(y for _, y in points))


def _closing(run: Path, updates: int) -> dict[str, Any]:
    return {"update": updates, **closing_figures(run)}


def _win_rates(judged: Judged) -> dict[str, dict[str, Interval]]:
    """Use-case -> model -> win rate."""
    texts = judged.texts
    rates = {name: win_rates_by_use_case(judged.prompts, said, texts["sft"], judged.people) for name, said in texts.items() if name != "sft"}
    return {use_case: {name: of[use_case] for name, of in rates.items()} for use_case in sorted(set(judged.use_cases))}
