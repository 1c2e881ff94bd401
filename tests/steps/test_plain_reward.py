"""The sign of everything, end to end: a scorer that pays for one letter gets more of it, one that charges for it gets less."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from instructloop.config import Config, ModelShape, Optimizer
from instructloop.model.checkpoint import save_checkpoint_dir
from instructloop.model.policy import new_policy
from instructloop.steps.ppo_run import train_ppo
from step_world import MANIFEST, VOCAB, TinyWorld, tiny_config, tokenizer

LETTER = "e"


def share(answer: str) -> float:
    """Share of the letter among the characters of an answer."""
    return answer.count(LETTER) / max(len(answer), 1)


def config() -> Config:
    """Fast learning for a tiny model, without the terms that would hold it back."""
    steady = Optimizer(lr=2e-2, decay="constant", eps=1e-5)
    without = {"ptx_coef": 0.0, "missing_end": "off", "ema": 0.0, "valid_every": 100}
    base = tiny_config(optimizer=steady, value_optimizer=steady, iterations=8, episodes=64, minibatches=4, inner_epochs=2, **without)
    return replace(base, run=replace(base.run, micro_batch=64, save_every=100))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_is_paid_for_is_said_more(sign: float, tmp_path: Path) -> None:
    """A fresh model says nearly every token alike, and the letter is one character in fifteen; eight iterations change that fivefold."""
    world = TinyWorld.make(tmp_path)
    fresh = new_policy(ModelShape(layers=1, width=32, heads=2, vocab=VOCAB, context=64), tokenizer(), seed=0)
    save_checkpoint_dir(tmp_path / "policy", fresh, tokenizer(), manifest=MANIFEST, card="")
    train_ppo(config(), replace(world.ppo_inputs, reward=None), tmp_path / "ppo", scorer=scorer(sign))
    rows = [json.loads(line) for line in (tmp_path / "ppo" / "metrics.jsonl").read_text().splitlines()]
    before, after = (row["score"] / (10 * sign) for row in (rows[0], rows[-1]))
    assert 0.05 < before < 0.1
    assert after > 4 * before if sign > 0 else after < before / 4
    assert rows[-1]["kl"] > 1


def scorer(sign: float) -> Callable[[Sequence[str], Sequence[str]], list[float]]:
    return lambda prompts, answers: [sign * 10 * share(answer) for answer in answers]
