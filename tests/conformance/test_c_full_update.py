"""Step 3 whole: `collect` and `update` on a tiny model against the NumPy oracle, down to the gradient of every parameter.

The oracle gives the derivative of both losses by each token's log-probability and value; carried through transformers'
own forward passes by autograd (a vector-Jacobian product), they must be the gradients that the update leaves.
"""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from conformance.numpy_ppo import Minibatch, Objective, Settings, objective
from instructloop.config import RewardKL, TrustRegion
from instructloop.model.scalar import ScalarModel
from instructloop.rollout.batch import Rollout
from instructloop.steps import step3_ppo
from instructloop.steps.step3_ppo import Coefficients, Metrics, collect, minibatches, update
from step_world import Stage, assert_close, gradients_of, random_prompts, random_rows, stage, tiny_config, weights_of

EPISODES = 12
VARIANTS = {
    "paper": Settings(),
    "penalty": Settings(trust_region="penalty", penalty_coef=3.0, kl_coef=0.5, lam=0.9),
    "discounted": Settings(gamma=0.9, lam=0.5, estimator="k3", missing_end="replace", clip=0.05, value_clip=0.05),
    "no bootstrap": Settings(lam=1.0, estimator="k2", missing_end="add", missing_end_score=-3.0, kl_coef=1.0),
    "off": Settings(lam=0.0, missing_end="off", kl_coef=0.0),
}


@dataclass(frozen=True)
class Came:
    """What the package made of one iteration's episodes."""

    stage: Stage
    rollout: Rollout
    metrics: Metrics
    policy_gradient: dict[str, Tensor]
    value_gradient: dict[str, Tensor]


def came(settings: Settings, rows_B: Tensor | None = None, **run: Any) -> Came:
    """Episodes of one policy, then an update of another: ratios and values have left their clip ranges on many tokens."""
    config = tiny_config("fp64", **ppo_settings(settings))
    s = stage(replace(config, run=replace(config.run, **run)), "gpt_neox")
    s = replace(s, at=replace(s.at, coefs=Coefficients(settings.kl_coef, settings.penalty_coef)))
    shake(s.models.reference, 0.02, seed=1)
    rollout = collect(s.models, s.engine, random_prompts(EPISODES), s.at)
    shake(s.models.policy, 0.01, seed=2)
    shake(s.models.value, 0.05, seed=3)
    found: list[dict[str, Tensor]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step3_ppo, "optimizer_step", lambda *_, **__: found.append({}) or {"grad_norm": 0.0})
        metrics = update(s.models, s.optimizers, rollout if rows_B is None else rollout[rows_B], random_rows(2), s.at)
    assert len(found) == 2
    return Came(s, rollout, metrics, gradients_of(s.models.policy), gradients_of(s.models.value))


def ppo_settings(settings: Settings) -> dict[str, Any]:
    return {
        "episodes": EPISODES, "minibatches": 3, "ptx_coef": 0.0, "gamma": settings.gamma, "lam": settings.lam, "value_clip": settings.value_clip,
        "missing_end": settings.missing_end, "missing_end_score": settings.missing_end_score,
        "kl": RewardKL(coef=settings.kl_coef, estimator=settings.estimator),
        "trust_region": TrustRegion(kind=settings.trust_region, clip=settings.clip, coef=settings.penalty_coef),
    }  # fmt: skip


@torch.no_grad()
def shake(model: torch.nn.Module, by: float, *, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.add_(by * torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype))


def own_logprobs(policy: PreTrainedModel, rollout: Rollout) -> Tensor:
    """log π of every response token [BR], one episode at a time, without padding, from transformers' logits."""

    def figure(ids_T: Tensor) -> Tensor:
        logp_TV = policy(input_ids=ids_T[None], use_cache=False).logits[0, :-1].log_softmax(-1)
        return logp_TV.gather(-1, ids_T[1:, None])[:, 0]

    return per_episode(rollout, figure)


def own_values(value: ScalarModel, rollout: Rollout) -> Tensor:
    """V before every response token [BR], one episode at a time, by transformers' trunk and the head by hand."""
    return per_episode(rollout, lambda ids_T: value.classifier.base_model(ids_T[None]).last_hidden_state[0, :-1] @ value.head.weight[0])


def per_episode(rollout: Rollout, figure: Any) -> Tensor:
    """`figure` of each episode's ids, at the position before each token but the first; laid out as [BR]."""
    rows = []
    for tokens_T, prompt, mask_R in zip(rollout.tokens_BT, rollout.prompt_length_B.tolist(), rollout.mask_BR, strict=True):
        answer = int(mask_R.sum())
        figure_R = figure(tokens_T[: prompt + answer])[prompt - 1 :]
        assert len(figure_R) == answer
        rows.append(torch.nn.functional.pad(figure_R, (0, len(mask_R) - answer)))
    return torch.stack(rows)


def oracle(c: Came, rollout: Rollout, settings: Settings) -> tuple[Objective, Tensor, Tensor]:
    """The oracle on log-probabilities and values that transformers computed, and these, with their graphs."""
    logp_BR, value_BR = own_logprobs(c.stage.models.policy, rollout), own_values(c.stage.models.value, rollout)
    with torch.no_grad():
        reference_BR = own_logprobs(c.stage.models.reference, rollout)
    arrays = {
        "logp_new": logp_BR.detach(), "logp_old": rollout.engine_logp_BR, "logp_ref": reference_BR, "values_old": rollout.value_BR,
        "values_new": value_BR.detach(), "score": rollout.score_B, "ended": rollout.ended_B, "mask": rollout.mask_BR,
    }  # fmt: skip
    return objective(Minibatch(**{name: tensor.numpy() for name, tensor in arrays.items()}), settings), logp_BR, value_BR


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_one_minibatch_equals_the_oracle(settings: Settings) -> None:
    c = came(settings)
    expected, logp_BR, value_BR = oracle(c, c.rollout, settings)
    for name, tensor in {"rewards": c.rollout.reward_BR, "advantages": c.rollout.advantage_BR, "returns": c.rollout.return_BR}.items():
        np.testing.assert_allclose(tensor.numpy(), getattr(expected, name), atol=1e-9, rtol=0, err_msg=name)
    assert c.metrics["loss"] == pytest.approx(expected.policy_loss, abs=1e-9)
    assert c.metrics["value_loss"] == pytest.approx(expected.value_loss, abs=1e-9)

    logp_BR.backward(torch.from_numpy(expected.grad_logp_new))
    value_BR.backward(torch.from_numpy(expected.grad_values_new))
    assert_close(c.policy_gradient, gradients_of(c.stage.models.policy), within=1e-9)
    assert_close(c.value_gradient, gradients_of(c.stage.models.value), within=1e-9)


def test_the_episodes_are_worth_testing() -> None:
    """Answers of many lengths, some of them capped; gradients stopped by clipping, and not."""
    c = came(VARIANTS["paper"])
    expected, *_ = oracle(c, c.rollout, VARIANTS["paper"])
    mask_BR, lengths = c.rollout.mask_BR, set(c.rollout.mask_BR.sum(1).tolist())
    assert len(lengths) >= 4
    assert 0 < int((~c.rollout.ended_B).sum()) < EPISODES
    for gradient in (expected.grad_logp_new, expected.grad_values_new):
        stopped = gradient[mask_BR.numpy()] == 0
        assert 0.05 < stopped.mean() < 0.95
    assert (c.rollout.logp_old_BR - c.rollout.logp_ref_BR).abs().max() > 1e-2
    assert 0 < c.metrics["clip_fraction"] < 1


@pytest.mark.parametrize("micro_batch", [1, 5])
def test_a_minibatch_is_whitened_and_averaged_by_itself(micro_batch: int) -> None:
    """The second of three minibatches, in micro-batches: moments and counts are of this minibatch, advantages of the whole rollout."""
    settings = VARIANTS["paper"]
    s = stage(tiny_config("fp64", **ppo_settings(settings)), "gpt_neox")
    probe = collect(copy.deepcopy(s.models), s.engine, random_prompts(EPISODES), s.at)
    rows_B = minibatches(probe, s.at, 0)[1]
    c = came(settings, rows_B, micro_batch=micro_batch)
    expected, logp_BR, value_BR = oracle(c, c.rollout[rows_B], settings)
    assert c.metrics["loss"] == pytest.approx(expected.policy_loss, abs=1e-9)
    logp_BR.backward(torch.from_numpy(expected.grad_logp_new))
    value_BR.backward(torch.from_numpy(expected.grad_values_new))
    assert_close(c.policy_gradient, gradients_of(c.stage.models.policy), within=1e-9)
    assert_close(c.value_gradient, gradients_of(c.stage.models.value), within=1e-9)


def test_the_value_network_can_learn_alone_at_first() -> None:
    """During its warm-up the policy stays to the bit, its optimizer too; after it the policy learns as it would have."""
    s = stage(tiny_config(value_warmup=2))
    before = weights_of(s.models.policy), weights_of(s.models.value)
    for number in range(3):
        step3_ppo.ppo_iteration(s.models, s.engine, random_prompts(8, seed=number), iter([random_rows(4)] * 2), s.optimizers, s.at_iteration(number))
        assert all(torch.equal(tensor, before[0][name]) for name, tensor in weights_of(s.models.policy).items()) == (number < 2)
        assert bool(s.optimizers.policy.state) == (number >= 2)
    assert all(parameter.grad is None for parameter in s.models.policy.parameters())
    assert not torch.equal(weights_of(s.models.value)["classifier.score.weight"], before[1]["classifier.score.weight"])
