"""Laws A1, A4, A5, A7 in step 3: the ratio starts at 1, the temperature is everywhere, ids travel, weights arrive."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from instructloop.errors import CheckpointError, LawBroken
from instructloop.model.dropout import residual_dropout
from instructloop.protocols import Generated, Sampling
from instructloop.rollout.batch import Rollout
from instructloop.rollout.engine import LocalEngine
from instructloop.steps import step3_ppo
from instructloop.steps.laws import load_engine, require_engine_parity, require_small_gap, require_unit_ratio
from instructloop.steps.ppo_run import train_ppo
from instructloop.steps.step3_ppo import collect, minibatches, ppo_iteration, update
from step_world import VOCAB, TinyWorld, random_prompts, random_rows, stage, tiny_config, tokenizer
from tiny_models import tiny

PRECISIONS = ("fp32", "fp64", "bf16")
PAPER = {"episodes": 32, "minibatches": 8}
"""The paper's 8 minibatches; episodes enough for two micro-batches in each."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return TinyWorld.make(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_the_first_ratio_of_eight_is_exactly_one(precision: str, architecture: str) -> None:
    """A1: π_old is computed in the micro-batches of the update, so that even bf16 rounds both alike; later minibatches have moved on."""
    config = tiny_config(precision, **PAPER)
    s = stage(replace(config, run=replace(config.run, micro_batch=3)), architecture)
    rollout = collect(s.models, s.engine, random_prompts(32), s.at)
    errors = [update(s.models, s.optimizers, rollout[rows_B], random_rows(4), s.at)["ratio_error"] for rows_B in minibatches(rollout, s.at, 0)]
    assert len(errors) == 8
    assert errors[0] == 0
    assert min(errors[1:]) > 1e-6


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_ratio_in_other_micro_batches_stays_within_the_law(precision: str) -> None:
    """A1 with π_old from micro-batches of other shapes: 1e-9 in float64, 1e-4 in float32; bf16 rounds otherwise, and the law notices."""
    s = stage(tiny_config(precision, **PAPER))
    rollout = collect(s.models, s.engine, random_prompts(32), s.at)
    alone = replace(s.at, run=replace(s.at.run, micro_batch=1))
    error = update(s.models, s.optimizers, rollout, random_rows(4), alone)["ratio_error"]
    if precision != "bf16":
        require_unit_ratio(error, s.config)
    else:
        assert error < 0.5


def test_dropout_in_the_update_breaks_the_law() -> None:
    s = stage(tiny_config())
    rollout = collect(s.models, s.engine, random_prompts(8), s.at)
    with residual_dropout(s.models.policy, 0.1):
        error = update(s.models, s.optimizers, rollout, random_rows(4), s.at)["ratio_error"]
    with pytest.raises(LawBroken, match=r"law A1 is broken"):
        require_unit_ratio(error, s.config)


def test_an_update_at_another_temperature_breaks_the_law() -> None:
    s = stage(tiny_config(temperature=0.7))
    rollout = collect(s.models, s.engine, random_prompts(8), s.at)
    error = update(s.models, s.optimizers, rollout, random_rows(4), s.at_iteration(0, temperature=1.0))["ratio_error"]
    with pytest.raises(LawBroken, match=r"law A1 is broken"):
        require_unit_ratio(error, s.config)


def test_a_whole_run_stops_when_the_law_breaks(world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = step3_ppo.score_tokens
    monkeypatch.setattr(step3_ppo, "score_tokens", lambda *given: {**scored(*given), "logp_old_BR": scored(*given)["logp_old_BR"] - 0.01})
    with pytest.raises(LawBroken, match=r"law A1 is broken"):
        train_ppo(tiny_config(), world.ppo_inputs, tmp_path / "ppo")
    assert (tmp_path / "ppo" / "metrics.jsonl").read_text() == ""
    assert not (tmp_path / "ppo" / "model").exists()


@pytest.mark.parametrize("temperature", [0.7, 1.3])
def test_sampling_and_scoring_divide_by_the_same_temperature(temperature: float) -> None:
    """A4: engine, π_old and π_SFT agree on every token; scored at temperature 1 they would differ by far more than rounding."""
    s = stage(tiny_config("fp64", temperature=temperature, episodes=16))
    rollout = collect(s.models, s.engine, random_prompts(16), s.at)
    assert (rollout.logp_old_BR - rollout.engine_logp_BR).abs().max() < 1e-9
    torch.testing.assert_close(rollout.logp_ref_BR, rollout.logp_old_BR, atol=1e-12, rtol=0)
    undivided = collect(s.models, s.engine, random_prompts(16), s.at_iteration(0, temperature=1.0))
    assert torch.equal(undivided.tokens_BT, rollout.tokens_BT)
    assert (undivided.logp_old_BR - rollout.engine_logp_BR).abs().max() > 0.1


def test_a_sampler_that_forgets_the_temperature_is_noticed_before_the_first_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """A2 is measured at the temperature of the run."""
    generate = LocalEngine.generate

    def forgetful(self: LocalEngine, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]) -> list[Generated]:
        return generate(self, prompts, replace(sampling, temperature=1.0 if sampling.temperature else 0.0), seeds)

    monkeypatch.setattr(LocalEngine, "generate", forgetful)
    with pytest.raises(CheckpointError, match=r"law A2 is broken"):
        require_engine_parity(tiny("llama", vocab=VOCAB, dtype=torch.float32), tokenizer(), tiny_config(temperature=0.7))


def test_ids_travel_even_where_text_would_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A5: random ids are seldom what the tokenizer would make of their text; the update sees the sampled ids all the same."""
    sampled: list[tuple[int, ...]] = []
    trained: list[tuple[int, ...]] = []
    generate, gradients = LocalEngine.generate, step3_ppo.gradients

    def recorded(self: LocalEngine, *given: Any) -> list[Generated]:
        answers = generate(self, *given)
        sampled.extend(answer.ids for answer in answers)
        return answers

    def watched(models: Any, part: Rollout, *given: Any) -> Any:
        trained.extend(answers_of(part))
        return gradients(models, part, *given)

    monkeypatch.setattr(LocalEngine, "generate", recorded)
    monkeypatch.setattr(step3_ppo, "gradients", watched)
    s = stage(tiny_config(episodes=16))
    ppo_iteration(s.models, s.engine, random_prompts(16), iter([random_rows(4)] * 2), s.optimizers, s.at)
    assert sorted(trained) == sorted(sampled)
    came_back = [tuple(tokenizer().encode(tokenizer().decode(ids))) == ids for ids in sampled]
    assert came_back.count(False) > len(sampled) / 4


def answers_of(rollout: Rollout) -> list[tuple[int, ...]]:
    ends = zip(rollout.tokens_BT, rollout.prompt_length_B.tolist(), rollout.mask_BR.sum(1).tolist(), strict=True)
    return [tuple(row[prompt : prompt + answer].tolist()) for row, prompt, answer in ends]


def forget(self: LocalEngine, state: Mapping[str, Tensor], version: int, *, remembers_version: bool) -> None:
    """A `load` that keeps the old weights."""
    self.version = version if remembers_version else self.version


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("remembers_version", [True, False])
def test_an_engine_with_stale_weights_is_noticed_after_the_first_update(precision: str, remembers_version: bool) -> None:
    """A7, even in bf16 and after a step of 1e-6, which moves log-probabilities by less than bf16 rounds them."""
    s = stage(tiny_config(precision))
    load_engine(s.engine, s.models.policy, version=1)
    with torch.no_grad():
        s.models.policy.get_input_embeddings().weight.mul_(1.05 if precision == "bf16" else 1 + 1e-6)
    forgetful = partial(forget, s.engine, remembers_version=remembers_version)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s.engine, "load", forgetful)
        with pytest.raises(LawBroken, match=r"law A7 is broken"):
            load_engine(s.engine, s.models.policy, version=2)
    load_engine(s.engine, s.models.policy, version=2)


def test_a_whole_run_stops_at_the_first_stale_iteration(world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = LocalEngine.load
    monkeypatch.setattr(LocalEngine, "load", lambda self, state, version: load(self, state, version) if version <= 0 else None)
    with pytest.raises(LawBroken, match=r"law A7 is broken"):
        train_ppo(tiny_config(), world.ppo_inputs, tmp_path / "ppo")
    assert len((tmp_path / "ppo" / "metrics.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(("precision", "gap", "held"), [("fp32", 9e-5, True), ("fp32", 2e-4, False), ("bf16", 0.05, True), ("bf16", 0.07, False)])
def test_a7_the_answers_learned_from_were_sampled_from_the_trainers_weights(precision: str, gap: float, held: bool) -> None:
    metrics = {"engine_gap_mean": gap, "engine_gap_p999": gap}
    with nullcontext() if held else pytest.raises(LawBroken, match="law A7 is broken"):
        require_small_gap(metrics, tiny_config(precision))
