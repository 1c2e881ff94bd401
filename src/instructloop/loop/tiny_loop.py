"""The loop in miniature: every step on a toy world, in about a minute."""

import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from instructloop.errors import RunFinished
from instructloop.loop.answer_plan import Answering, ModelShare, NumAnswers
from instructloop.loop.answer_sets import Asked, sample_answer_sets
from instructloop.loop.chain import Chain
from instructloop.loop.toy_data import freeze_toy_data
from instructloop.recipes import RECIPES
from instructloop.steps.running import TIME_PREFIX

STEPS = {
    "base": ("step 0  base from text", "valid_loss", "nats per token, held-out text"),
    "sft": ("step 1  SFT", "valid_loss", "nats per token, held-out demonstrations"),
    "sft_ptx_init": ("step 1  start of PPO", "valid_loss", "nats per token, held-out demonstrations"),
    "reward": ("step 2  reward model", "valid_accuracy", "of held-out pairs ordered right"),
    "ppo_ptx": ("step 3  PPO-ptx", "valid_score", "mean reward-model score, held-out prompts"),
}
"""Run folder -> what it is, its closing figure, and what that figure means."""


def run_tiny_loop(out: Path, seed: int) -> None:
    """Make data, base, SFT, reward model and a PPO-ptx policy under `out`; going on where an earlier call stopped."""
    config = RECIPES["tiny"]()
    config = replace(config, run=replace(config.run, seed=seed))
    freeze_toy_data(out / "data", seed)
    chain = Chain(config=config, data=out / "data", runs=out)
    base = chain.base()
    sft, start = chain.sft(base), chain.start_of_ppo(base)
    reward = chain.reward(sft)
    policy = chain.ppo(start, reward, ptx=True)
    answers = _sample(out, policy, seed)
    _print_outcome(out, policy, answers)


def _sample(out: Path, policy: Path, seed: int) -> Path:
    """Answers of the policy for people to rank: with them the loop would turn again."""
    text = RECIPES["tiny"]().text
    asked = Asked(
        models=(ModelShare(str(policy), 1.0),), prompts=out / "data" / "prompts", split="valid", num_answers=NumAnswers(4, 9),
        answering=Answering(max_new_tokens=text.max_response, precision="fp32", seed=seed), text=text, out=out / "answers.jsonl",
    )  # fmt: skip
    try:
        return sample_answer_sets(asked)
    except RunFinished:
        return asked.out


def _print_outcome(out: Path, policy: Path, answers: Path) -> None:
    console = Console()
    table = Table(title="The loop in miniature: a toy model on toy data. Every part turned; the figures mean nothing beyond that.")
    for column in ("run", "figure", "", "seconds"):
        table.add_column(column, justify="right" if column in ("figure", "seconds") else "left")
    for name, (title, figure, meaning) in STEPS.items():
        closing = json.loads((out / name / "finished.json").read_text())
        table.add_row(title, f"{closing[figure]:.3f}", meaning, f"{_seconds(out / name):.1f}")
    console.print(table)
    console.print(f"Answers for people to rank, 4 to 9 to each prompt: {answers}", highlight=False, soft_wrap=True)
    console.print(f"The policy is an ordinary Hugging Face checkpoint: {policy}", highlight=False, soft_wrap=True)


def _seconds(run: Path) -> float:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return sum(value for line in lines for key, value in line.items() if key.startswith(TIME_PREFIX) and "per_second" not in key)
