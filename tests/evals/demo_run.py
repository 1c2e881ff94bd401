"""A made-up run of the demo, plausible in every figure and hostile in its texts: what the tests of the report read."""

import math
from dataclasses import replace
from random import Random
from typing import Any

from instructloop.evals.report.inputs import (
    Answer,
    Calibration,
    CalibrationBin,
    Counts,
    Curve,
    Curves,
    Distance,
    Example,
    PolicyCurves,
    ReportInputs,
    RewardInputs,
)
from instructloop.evals.results import MODEL_NAMES, Results
from instructloop.evals.statistics import Interval

HOSTILE = (
    "<script>window.stolen = 1</script>",
    '"><img src="https://example.com/x.png" onerror="window.stolen = 1">',
    "</style><svg onload=window.stolen=1>",
    "{{ 7 * 7 }} {% raw %}",
    "&lt;b&gt; stays as it is &amp; \u202eso does this",
    "a" * 300,
)
"""Prompts, answers and reasons that try to be markup, to be a template, or to be wider than a phone."""

USE_CASES = ("generation", "open_qa", "closed_qa", "brainstorming", "rewrite", "summarization", "classification", "extract")
ITERATIONS = 36


def results_json() -> dict[str, Any]:
    """A `results.json` in which every finding of the paper holds."""

    def model(win: tuple[float, float, float] | None, score: float, gold: float, kl: float | None, tokens: float, loss: float) -> dict[str, Any]:
        rate = None if win is None else dict(zip(("mean", "low", "high"), win, strict=True)) | {"n": 612}
        return {"win_rate_vs_sft": rate, "score": score, "gold": gold, "kl": kl, "response_tokens": tokens, "pretraining_loss": loss}

    return {
        "models": {
            "base": model((0.093, 0.075, 0.113), -2.41, 0.141, 31.7, 38.2, 1.413),
            "base_prompted": model((0.311, 0.279, 0.344), -0.87, 0.462, None, 24.9, 1.413),
            "sft": model(None, 0.02, 0.653, 0.41, 21.3, 1.466),
            "ppo": model((0.618, 0.587, 0.648), 1.34, 0.774, 3.92, 19.8, 1.571),
            "ppo_ptx": model((0.597, 0.565, 0.629), 1.21, 0.761, 3.35, 20.1, 1.452),
        },
        "reward_model": {
            "accuracy": 0.688, "low": 0.671, "high": 0.705, "n": 4_318,
            "labeler_agreement": 0.744, "length_only": 0.561, "bag_of_words": 0.622,
        },
        "paired": {
            "loss_ppo_minus_init": {"mean": 0.112, "low": 0.104, "high": 0.121},
            "loss_ppo_minus_ppo_ptx": {"mean": 0.119, "low": 0.109, "high": 0.129},
        },
        "seconds": {"sft": 38.2, "sampling_and_ranking": 41.7, "reward_model": 29.4, "ppo": 71.9, "ppo_ptx": 108.3, "judging": 39.6},
        "gflops_bf16": 731.4, "peak_rss_mb": 2_947.0, "seed": 3,
    }  # fmt: skip


def results() -> Results:
    """The same as a record."""
    return Results.from_json(results_json())


def report_inputs() -> ReportInputs:
    """Everything else that the page shows."""
    return ReportInputs(
        machine="2 cores of a laptop processor, torch 2.13 on the CPU",
        base_parameters=3_412_992,
        departures=("γ_ptx is 0.3, and the pretraining batch is half as large as PPO's.", "PPO starts from the SFT model that it is judged against."),
        counts=Counts(
            users=240, prompts=5_312, demonstrations=1_204, labelers=8, rankings_by_k={str(k): 130 + 7 * k for k in range(4, 10)},
            pairs=16_874, tied_pairs=1_933, episodes=9_216, test_prompts=612, judges=4, judgements=9_792,
        ),
        curves=_curves(Random(1)),
        distances={name: tuple(_distances(name)) for name in ("ppo", "ppo_ptx")},
        reward=_reward(),
        win_rates={use_case: _win_rates(Random(i)) for i, use_case in enumerate(USE_CASES)},
        examples=tuple(_example(i) for i in range(8)),
        hacks=(
            "PPO ends 14 % of its answers with “i hope this helps .”, SFT 3 %: the reward model likes a polite end, labelers do not mind it.",
            f"On lists the policy repeats the first item. {HOSTILE[0]}",
        ),
    )  # fmt: skip


def unlucky(results: Results) -> Results:
    """The same run, had PPO stayed level with SFT and PPO-ptx fallen below it, its score up and its gold down."""
    models = results.models
    ppo = replace(models.ppo, win_rate_vs_sft=Interval(0.507, 0.476, 0.538, 612), gold=0.611)
    ptx = replace(models.ppo_ptx, win_rate_vs_sft=Interval(0.441, 0.412, 0.471, 612))
    return replace(results, models=replace(models, ppo=ppo, ppo_ptx=ptx))


def _curve(start: float, end: float, noise: float, random: Random, *, points: int = ITERATIONS, pace: float = 4.0, every: int = 1) -> Curve:
    x = tuple(float(every * (i + 1)) for i in range(points))
    shape = [(1 - math.exp(-pace * i / points)) / (1 - math.exp(-pace)) for i in range(points)]
    return Curve(x=x, y=tuple(round(start + (end - start) * s + random.gauss(0, noise), 4) for s in shape))


def _policy(random: Random, gain: float, kl: float, entropy: float) -> PolicyCurves:
    return PolicyCurves(
        score=_curve(0.0, gain, 0.07, random),
        kl=_curve(0.2, kl, 0.06, random, pace=2.0),
        entropy=_curve(1.1, entropy, 0.02, random),
    )


def _curves(random: Random) -> Curves:
    collapsed = {"extract": -0.9, "closed_qa": 0.3}
    return Curves(
        sft_loss=_curve(2.6, 1.02, 0.05, random, points=160, pace=6.0),
        sft_valid_loss=_curve(2.5, 1.21, 0.01, random, points=16, pace=6.0, every=10),
        reward_accuracy=_curve(0.5, 0.69, 0.008, random, points=24, pace=5.0, every=10),
        policies={"ppo": _policy(random, 1.34, 3.9, 0.55), "ppo_ptx": _policy(random, 1.2, 3.3, 0.62)},
        by_use_case={
            name: {
                "ppo": _policy(random, collapsed.get(name, 1.3 + 0.1 * i), 3.0 + 0.3 * i, 0.5 + 0.02 * i),
                "ppo_ptx": _policy(random, 1.1 + 0.1 * i, 2.6 + 0.3 * i, 0.6 + 0.02 * i),
            }
            for i, name in enumerate(USE_CASES)
        },
        pretraining_loss={"ppo": _curve(1.466, 1.571, 0.002, random), "ppo_ptx": _curve(1.466, 1.452, 0.002, random)},
    )


def _distances(name: str) -> list[Distance]:
    far, gain = {"ppo": (3.92, 0.68), "ppo_ptx": (3.35, 0.62)}[name]
    kls = [round(far * i / 12, 3) for i in range(13)]
    return [Distance(kl=kl, score=round(gain * math.sqrt(kl), 3), gold=round(0.653 + 0.16 * gain * math.sqrt(kl) - 0.024 * kl, 4)) for kl in kls]


def _reward() -> RewardInputs:
    bins = [
        CalibrationBin(low=0.5 + 0.05 * i, high=0.55 + 0.05 * i, predicted=0.524 + 0.05 * i, observed=0.517 + 0.041 * i, pairs=900 - 88 * i)
        for i in range(10)
    ]
    words = [replace(row, observed=0.512 + 0.031 * i, pairs=700 - 60 * i) for i, row in enumerate(bins[:7])]
    return RewardInputs(
        length_only=Interval(0.561, 0.543, 0.579, 412),
        bag_of_words=Interval(0.622, 0.604, 0.640, 412),
        labeler_agreement=Interval(0.744, 0.728, 0.760, 412),
        calibration={
            "reward_model": Calibration(bins=tuple(bins), expected_error=0.031),
            "bag_of_words": Calibration(bins=tuple(words), expected_error=0.058),
        },
    )


def _win_rates(random: Random) -> dict[str, Interval]:
    means = {"base": 0.09, "base_prompted": 0.31, "ppo": 0.62, "ppo_ptx": 0.6}
    rates: dict[str, Interval] = {}
    for name, usual in means.items():
        mean = round(usual + random.uniform(-0.06, 0.06), 3)
        rates[name] = Interval(mean, round(mean - 0.028, 3), round(mean + 0.027, 3), 76)
    return rates


def _example(i: int) -> Example:
    good = "max lives in oak hill . he works as a baker , and he has a red cat ."
    texts = {
        "base": "name two towns . write a story about a fox who has a lamp . what is the job of zoe ?",
        "base_prompted": "max lives in elm bay . i do not know more about this .",
        "sft": "max lives in oak hill . he has a dog . can you help me with a further question ?",
        "ppo": good,
        "ppo_ptx": good.replace("red", "small"),
    }
    if i < len(HOSTILE):
        texts["sft"] = HOSTILE[i]
    answers = {
        name: Answer(text=texts[name], gold=gold, reasons=reasons)
        for (name, gold), reasons in zip(
            {"base": 0.05, "base_prompted": 0.31, "sft": 0.58, "ppo": 0.96, "ppo_ptx": 0.81}.items(),
            (
                ("does not follow the instruction", "asks further questions"),
                ("follows the instruction", "false: max lives in oak hill", "one sentence, asked for two"),
                ("follows the instruction", "true", HOSTILE[i % len(HOSTILE)]),
                ("follows the instruction", "true", "two sentences, as asked", "no rambling"),
                ("follows the instruction", "false: the cat is red", "two sentences, as asked"),
            ),
            strict=True,
        )
    }
    assert set(answers) == set(MODEL_NAMES)
    prompt = "passage : max is a baker in oak hill . his cat is red .\ntell me about max in two sentences ." if i % 2 else "where does max live ?"
    return Example(prompt=f"{prompt} {HOSTILE[i]}" if i < 3 else prompt, use_case=USE_CASES[i], answers=answers)
