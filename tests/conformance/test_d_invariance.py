"""Laws D1 and D4: results depend neither on how a batch is cut nor on how streams are created."""

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from instructloop.algo.seeds import derive, generator, permutation
from instructloop.config import Config
from instructloop.data.comparisons import RankedPrompt
from instructloop.model.scalar import scalar_from_policy
from instructloop.steps import step1_sft, step2_reward, step3_ppo
from instructloop.steps.ppo_run import train_ppo
from instructloop.steps.step3_ppo import collect, update
from instructloop.text.rendering import Rendered
from step_world import (
    VOCAB,
    TinyWorld,
    assert_close,
    assert_same_bits,
    gradients_of,
    random_prompts,
    random_rows,
    stage,
    tiny_config,
    tokenizer,
    weights_of,
)
from tiny_models import tiny

ARCHITECTURES = ("gpt2", "gpt_neox", "llama", "qwen2")
architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)
WITHIN = 1e-9
WITHIN_ROTATED = 1e-6
"""Where positions come in another layout: transformers' rotary angles are float32, and their cosines differ in the last place."""


def cut(config: Config, **run: Any) -> Config:
    return replace(config, run=replace(config.run, **run))


def gradient_only(module: Any, patch: pytest.MonkeyPatch) -> None:
    """Leave the gradients of an update in their buffers."""
    patch.setattr(module, "optimizer_step", lambda *_, **__: {"grad_norm": 0.0, "lr": 0.0})


def examples(count: int) -> list[Rendered]:
    """Examples of many lengths, the loss on their later part."""
    draw = torch.Generator().manual_seed(3)
    rendered: list[Rendered] = []
    for _ in range(count):
        length, prompt = (int(torch.randint(low, high, (1,), generator=draw)) for low, high in ((6, 30), (1, 6)))
        ids = torch.randint(2, VOCAB, (length,), generator=draw).tolist()
        rendered.append(Rendered(ids=tuple(ids), loss_mask=tuple(place >= prompt for place in range(length))))
    return rendered


def rankings() -> list[RankedPrompt]:
    """Prompts with 2 to 9 answers of many lengths; some pairs are ties."""
    draw = torch.Generator().manual_seed(4)
    items: list[RankedPrompt] = []
    for k in (4, 2, 9, 3, 5):
        lengths = torch.randint(1, 18, (k,), generator=draw)
        prompt, *own = (tuple(torch.randint(2, VOCAB, (int(n),), generator=draw).tolist()) for n in (2, *lengths))
        answers = tuple((*prompt, *answer) for answer in own)
        pairs = tuple((a, b) for a in range(k) for b in range(a + 1, k) if (a + b) % 3 or k == 2)
        items.append(RankedPrompt(answers, pairs, 2, f"p{k}", "test", "l"))
    return items


@architectures
def test_sft_in_any_micro_batches_packed_or_padded(architecture: str) -> None:
    """Loss and gradient of an SFT update with pretraining rows in it, dropout off."""
    supervised = replace(tiny_config("fp64").sft_ptx_init, residual_dropout=0.0)
    text = type("Stream", (), {"sample_rows": lambda self, update, **named: random_rows(named["rows"], named["length"])})()
    outcomes = []
    for micro_batch, pack, chunk in ((64, False, 4096), (1, False, 7), (3, False, 4096), (64, True, 100), (3, True, 4096)):
        model = tiny(architecture, vocab=VOCAB)
        config = cut(tiny_config("fp64"), micro_batch=micro_batch, loss_chunk=chunk)
        plan = step1_sft.Plan(cfg=replace(supervised, pack=pack), config=config, train=examples(9), text=text, pad_id=1)
        with pytest.MonkeyPatch.context() as patch:
            gradient_only(step1_sft, patch)
            loss = step1_sft.sft_update(model, torch.optim.SGD(model.parameters()), plan, 0)["loss"]
        outcomes.append((loss, gradients_of(model)))
    for loss, gradient in outcomes[1:]:
        assert loss == pytest.approx(outcomes[0][0], abs=WITHIN)
        assert_close(gradient, outcomes[0][1], within=WITHIN)


@architectures
@pytest.mark.parametrize("weight", ["prompt", "pair"])
def test_the_reward_model_in_any_micro_batches(architecture: str, weight: Any) -> None:
    """Also with answers behind one pass over their prompt: all in a row, or as many as a short row holds."""
    outcomes = []
    for micro_batch, row_length in ((64, None), (1, None), (7, None), (64, 64), (7, 30), (1, 64)):
        reward = scalar_from_policy(tiny(architecture, vocab=VOCAB), tokenizer(), seed=1)
        config = cut(tiny_config("fp64"), micro_batch=micro_batch)
        cfg = replace(config.reward, weight=weight, batch=5, share_prompts=row_length is not None)
        config = replace(config, reward=cfg, text=replace(config.text, context=row_length or 64, max_prompt=20))
        plan = step2_reward.Plan(cfg=cfg, config=config, items=rankings(), prompts=5, pad_id=1)
        with pytest.MonkeyPatch.context() as patch:
            gradient_only(step2_reward, patch)
            figures = step2_reward.reward_update(reward, torch.optim.SGD(reward.parameters()), plan, 0)
        outcomes.append((figures["loss"], figures["accuracy"], gradients_of(reward)))
    for place, (loss, accuracy, gradient) in enumerate(outcomes[1:], start=1):
        within = WITHIN if place < 3 else WITHIN_ROTATED
        assert (loss, accuracy) == pytest.approx(outcomes[0][:2], abs=within)
        assert_close(gradient, outcomes[0][2], within=within)


@architectures
def test_a_ppo_minibatch_in_any_micro_batches(architecture: str) -> None:
    """Loss, metrics and both gradients, the pretraining term included, of a policy that has left the one that sampled."""
    s = stage(tiny_config("fp64"), architecture)
    rollout = collect(s.models, s.engine, random_prompts(8), s.at)
    with torch.no_grad():
        for parameter in s.models.policy.parameters():
            parameter.mul_(1.01)
    outcomes = []
    for micro_batch, chunk in ((64, 4096), (1, 7), (3, 16)):
        models = replace(s.models, policy=copy.deepcopy(s.models.policy), value=copy.deepcopy(s.models.value), ema=None)
        with pytest.MonkeyPatch.context() as patch:
            gradient_only(step3_ppo, patch)
            at = replace(s.at, run=replace(s.at.run, micro_batch=micro_batch, loss_chunk=chunk))
            metrics = update(models, s.optimizers, rollout, random_rows(5), at)
        outcomes.append((metrics, gradients_of(models.policy), gradients_of(models.value)))
    for metrics, policy, value in outcomes[1:]:
        assert metrics == pytest.approx(outcomes[0][0], abs=WITHIN)
        assert_close(policy, outcomes[0][1], within=WITHIN)
        assert_close(value, outcomes[0][2], within=WITHIN)


@architectures
def test_what_is_known_of_episodes_in_any_micro_batches(architecture: str) -> None:
    """Log-probabilities, values, scores, rewards, advantages; the same tokens are sampled whatever `micro_batch`."""
    s = stage(tiny_config("fp64"), architecture)
    rollouts = [collect(s.models, s.engine, random_prompts(8), replace(s.at, run=replace(s.at.run, micro_batch=m))) for m in (64, 1, 3)]
    for rollout in rollouts[1:]:
        for name, tensor in vars(rollout).items():
            torch.testing.assert_close(tensor, getattr(rollouts[0], name), atol=WITHIN, rtol=0, msg=name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return TinyWorld.make(tmp_path_factory.mktemp("world"))


def saved(folder: Path) -> dict[str, bytes]:
    """Weights, average, and what the policy said."""
    return {name: (folder / name).read_bytes() for name in ("model/model.safetensors", "model/ema/model.safetensors", "samples.jsonl")}


def test_same_seed_same_bits_and_another_seed_another_run(world: TinyWorld, tmp_path: Path) -> None:
    """D4, over a whole PPO-ptx run, whatever state the global generators are in."""
    config = tiny_config(iterations=2)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(len(name) + seed + 7)
        train_ppo(cut(config, seed=seed), world.ppo_inputs, tmp_path / name)
    assert saved(tmp_path / "a") == saved(tmp_path / "b")
    assert all(saved(tmp_path / "a")[name] != content for name, content in saved(tmp_path / "c").items())


def test_streams_are_named_and_not_counted() -> None:
    """D4: what a stream gives depends on seed and name alone, not on which streams were opened before, nor on their number."""
    draws = {name: partial(torch.rand, 4) for name in ("rollout", "minibatches", "ptx")}
    forward = {name: draw(generator=generator(3, name, 5)) for name, draw in draws.items()}
    torch.manual_seed(99)
    permutation(10, 3, "a stream that is new", 5)
    backward = {name: draws[name](generator=generator(3, name, 5)) for name in reversed(draws)}
    assert_same_bits(backward, {name: forward[name] for name in backward})
    assert len({tuple(draw.tolist()) for draw in forward.values()}) == 3
    assert derive(3, "rollout", 5) != derive(35, "rollout") != derive(3, "rollout5")


def test_a_step_neither_reads_nor_moves_the_global_generator() -> None:
    """D4: PPO takes nothing from the global stream, so nothing that does can disturb it."""
    outcomes: list[dict[str, Tensor]] = []
    for disturbance in (1, 2):
        s = stage(tiny_config())
        torch.manual_seed(disturbance)
        before = torch.get_rng_state()
        rollout = collect(s.models, s.engine, random_prompts(8), s.at)
        update(s.models, s.optimizers, rollout, random_rows(4), s.at)
        assert torch.equal(torch.get_rng_state(), before)
        outcomes.append(weights_of(s.models.policy))
    assert_same_bits(outcomes[1], outcomes[0])
