"""Laws C5, C8, C9, C10 in step 3: the pretraining term, the value network's start, the average, the two controllers."""

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from instructloop.config import RewardKL, Run, TrustRegion
from instructloop.model.scalar import load_scalar
from instructloop.rollout.batch import Rollout
from instructloop.steps import ppo_run, step3_ppo
from instructloop.steps.language import accumulate_language_loss, count_targets, rows_batch
from instructloop.steps.step3_ppo import Coefficients, adjust, collect, ppo_iteration, update
from step_world import (
    Stage,
    TinyWorld,
    assert_close,
    assert_same_bits,
    gradients_of,
    random_prompts,
    random_rows,
    stage,
    tiny_config,
    weights_of,
)

GAMMA_PTX = 27.8


@cache
def prepared() -> tuple[Stage, Rollout]:
    """A policy whose every layer is float64 (those of Llama norm in float32) and one iteration's episodes; nothing here changes either."""
    s = stage(tiny_config("fp64", ptx_coef=GAMMA_PTX), "gpt_neox")
    return s, collect(s.models, s.engine, random_prompts(8), s.at)


def policy_gradient(rows_BT: Tensor, **cfg: Any) -> dict[str, Tensor]:
    """The gradient that one update leaves in the policy's buffers, before it is clipped."""
    s, rollout = prepared()
    models = replace(s.models, policy=copy.deepcopy(s.models.policy), value=copy.deepcopy(s.models.value), ema=None)
    found: dict[str, Tensor] = {}

    def keep(optimizer: object, *given: object, **named: object) -> dict[str, float]:
        found.update({} if found else gradients_of(models.policy))
        return {"grad_norm": 0.0, "lr": 0.0}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step3_ppo, "optimizer_step", keep)
        update(models, s.optimizers, rollout, rows_BT, s.at_iteration(0, **cfg))
    return found


def language_loss(policy: PreTrainedModel, rows_BT: Tensor) -> Tensor:
    """The mean −log π over all tokens of the rows but the first of each, from transformers' logits (its loss is float32 throughout)."""
    logits_BTV = policy(input_ids=rows_BT, use_cache=False).logits
    return cross_entropy(logits_BTV[:, :-1].flatten(0, 1), rows_BT[:, 1:].flatten())


def language_gradient(rows_BT: Tensor) -> dict[str, Tensor]:
    """The gradient of `language_loss`, by a pass and a backward of their own."""
    policy = copy.deepcopy(prepared()[0].models.policy)
    language_loss(policy, rows_BT).backward()
    return gradients_of(policy)


def test_the_gradient_is_that_of_ppo_plus_gamma_times_that_of_the_language_loss() -> None:
    """C8, the language gradient by a pass of its own; both terms matter."""
    rows_BT = random_rows(5)
    together, alone, text = policy_gradient(rows_BT), policy_gradient(rows_BT, ptx_coef=0.0), language_gradient(rows_BT)
    assert_close(together, {name: alone[name] + GAMMA_PTX * text[name] for name in text}, within=1e-12)
    assert max(float(g.abs().max()) for g in alone.values()) > 1e-2
    assert max(float(g.abs().max()) for g in text.values()) > 1e-2


def test_gamma_means_the_same_however_many_rows_there_are() -> None:
    """C8: every row twice, or three times, is the same gradient."""
    once = policy_gradient(random_rows(4))
    assert_close(policy_gradient(random_rows(4).repeat(3, 1)), once, within=1e-12)


def test_gamma_means_the_same_however_long_the_rows_are() -> None:
    """C8: among rows of any number and length every token weighs γ / tokens, so the gradients of a long and a short batch
    are those of their own mean losses, and no factor of length stands before either."""
    for rows, length in ((2, 9), (2, 33), (7, 9)):
        rows_BT = random_rows(rows, length)
        ptx = {name: a - b for (name, a), b in zip(policy_gradient(rows_BT).items(), policy_gradient(rows_BT, ptx_coef=0.0).values(), strict=True)}
        assert_close(ptx, {name: GAMMA_PTX * g for name, g in language_gradient(rows_BT).items()}, within=1e-11)


def test_without_the_pretraining_term_it_is_plain_ppo_to_the_bit() -> None:
    """C8: γ_ptx = 0, whatever text is at hand, after two iterations: policy, value, average."""
    outcomes = []
    for text in (random_rows(4), torch.empty(0, 16, dtype=torch.long), random_rows(4, seed=9)):
        s = stage(tiny_config(ptx_coef=0.0))
        for number in range(2):
            ppo_iteration(s.models, s.engine, random_prompts(8, seed=number), iter([text] * 2), s.optimizers, s.at_iteration(number))
        assert s.models.ema is not None
        outcomes.append({**weights_of(s.models.policy), **weights_of(s.models.value), **s.models.ema.state_dict()["average"]})
    assert_same_bits(outcomes[1], outcomes[0])
    assert_same_bits(outcomes[2], outcomes[0])
    with_text = stage(tiny_config(ptx_coef=0.5))
    ppo_iteration(with_text.models, with_text.engine, random_prompts(8), iter([random_rows(4)] * 2), with_text.optimizers, with_text.at)
    assert any(not torch.equal(tensor, outcomes[0][name]) for name, tensor in weights_of(with_text.models.policy).items())


def test_one_optimizer_step_follows_both_gradients() -> None:
    """C8: clipped together, one step of each network's optimizer per minibatch."""
    s = stage(tiny_config())
    _, metrics = ppo_iteration(s.models, s.engine, random_prompts(8), iter([random_rows(4)] * 2), s.optimizers, s.at)
    steps = {float(state["step"]) for optimizer in (s.optimizers.policy, s.optimizers.value) for state in optimizer.state.values()}
    assert steps == {2.0}
    assert metrics["ptx_loss"] > 0
    assert all(p.grad is None for model in (s.models.policy, s.models.value) for p in model.parameters())
    assert all(p.grad is None for p in s.models.reference.parameters())


def test_the_value_network_starts_as_the_reward_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C9: same trunk, head and bias; its own copy; and the policy has no part in it."""
    world = TinyWorld.make(tmp_path)
    built: list[ppo_run.World] = []
    build = ppo_run._build
    monkeypatch.setattr(ppo_run, "_build", lambda *given: built.append(build(*given)) or built[0])
    monkeypatch.setattr(ppo_run, "_iterate", stop_at_once)
    with pytest.raises(InterruptedError):
        ppo_run.train_ppo(tiny_config(), world.ppo_inputs, tmp_path / "ppo")
    reward = load_scalar(tmp_path / "reward", precision="fp32", tokenizer=built[0].tokenizer, context=64)
    value, policy = built[0].models.value, built[0].models.policy
    assert_same_bits(weights_of(value), weights_of(reward))
    assert torch.equal(value.score_bias, reward.score_bias)
    assert not {p.data_ptr() for p in value.parameters()} & {p.data_ptr() for p in policy.parameters()}
    assert_same_bits(weights_of(built[0].models.reference), weights_of(policy))


def stop_at_once(*_: object) -> None:
    raise InterruptedError


def test_values_see_the_state_before_the_token() -> None:
    """C9: V of a response token does not change with that token or later ones, and does with the one before."""
    s, rollout = prepared()
    row, slot = 0, 1
    at_BT = rollout.prompt_length_B[row] + slot

    def values(position: int) -> Tensor:
        tokens_BT = rollout.tokens_BT.clone()
        tokens_BT[row, position] = 2 + (tokens_BT[row, position] - 1) % 200
        return s.models.value.values(tokens_BT, rollout.prompt_length_B, rollout.mask_BR)[row]

    assert rollout.mask_BR[row, slot]
    torch.testing.assert_close(values(int(at_BT))[: slot + 1], rollout.value_BR[row, : slot + 1], atol=1e-12, rtol=0)
    assert (values(int(at_BT) - 1)[slot] - rollout.value_BR[row, slot]).abs() > 1e-6


@pytest.mark.parametrize(("decay", "minibatches"), [(0.992, 2), (0.5, 4)])
def test_the_average_moves_once_per_optimizer_step(decay: float, minibatches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """C10: d·average + (1 − d)·weights after every update, by hand from the weights of each."""
    s = stage(tiny_config("fp64", ema=decay, minibatches=minibatches))
    assert s.models.ema is not None
    expected, step = weights_of(s.models.policy), step3_ppo.optimizer_step

    def stepped(optimizer: torch.optim.Optimizer, *given: Any, **named: Any) -> dict[str, float]:
        figures = step(optimizer, *given, **named)
        if optimizer is s.optimizers.policy:
            for name, weight in weights_of(s.models.policy).items():
                expected[name] = decay * expected[name] + (1 - decay) * weight
        return figures

    monkeypatch.setattr(step3_ppo, "optimizer_step", stepped)
    ppo_iteration(s.models, s.engine, random_prompts(8), iter([random_rows(2)] * minibatches), s.optimizers, s.at)
    assert_close(s.models.ema.state_dict()["average"], expected, within=1e-14)
    assert any(not torch.equal(expected[name], weight) for name, weight in weights_of(s.models.policy).items())


def test_the_adaptive_coefficient_follows_zieglers_formula() -> None:
    """C5, reward KL: KL 9 nats per sequence at target 6 is clipped to an error of 0.2: β · (1 + 0.2 · 8 / 100)."""
    s, rollout = prepared()
    at = replace(s.at_iteration(0, kl=RewardKL(control="adaptive", target=6.0, horizon=100)), coefs=Coefficients(0.5, 1.0))
    metrics = {"kl": 9.0}
    adjust(at.coefs, s.models.policy, rollout, metrics, at)
    assert at.coefs.reward_kl == pytest.approx(0.5 * 1.016)
    assert metrics["kl_coef"] == 0.5
    adjust(at.coefs, s.models.policy, rollout, {"kl": 6.3}, at)
    assert at.coefs.reward_kl == pytest.approx(0.5 * 1.016 * (1 + 0.05 * 8 / 100))
    assert at.coefs.trust_region == 1.0


@pytest.mark.parametrize(("moved_by", "factor"), [(0.0, 0.5), (0.01, 1.0), (0.03, 2.0)])
def test_the_penalty_follows_the_kl_to_the_sampling_policy(moved_by: float, factor: float) -> None:
    """C5, trust region: halved, kept, doubled by the measured mean of log π_old − log π, whatever the KL to the start is."""
    s, rollout = prepared()
    at = replace(s.at_iteration(0, trust_region=TrustRegion(kind="penalty", target=0.01)), coefs=Coefficients(0.5, 1.0))
    metrics = {"kl": 9.0}
    shifted = replace(rollout, logp_old_BR=rollout.logp_old_BR + moved_by * rollout.mask_BR)
    adjust(at.coefs, s.models.policy, shifted, metrics, at)
    assert metrics["kl_to_sampler"] == pytest.approx(moved_by, abs=1e-9)
    assert (at.coefs.trust_region, at.coefs.reward_kl) == (factor, 0.5)


def test_fixed_coefficients_stay() -> None:
    s, rollout = prepared()
    at = replace(s.at_iteration(0, trust_region=TrustRegion(kind="penalty", adapt=False)), coefs=Coefficients(0.5, 1.0))
    adjust(at.coefs, s.models.policy, rollout, {"kl": 50.0}, at)
    assert at.coefs == Coefficients(0.5, 1.0)


def test_both_coefficients_are_saved_and_used_after_resuming() -> None:
    """C5: what `state_dict` holds comes back, and the reward and the loss of the next iteration are made with it."""
    coefs = Coefficients(0.02, 1.0)
    coefs.load_state_dict(Coefficients(0.37, 4.0).state_dict())
    assert coefs == Coefficients(0.37, 4.0)
    s, _ = prepared()
    at = replace(s.at, coefs=coefs)
    charged, free = (collect(drifted(s), s.engine, random_prompts(8), a) for a in (at, replace(at, coefs=Coefficients(0.0, 4.0))))
    kl_BR = charged.logp_old_BR - charged.logp_ref_BR
    torch.testing.assert_close(charged.reward_BR, free.reward_BR - 0.37 * kl_BR, atol=1e-12, rtol=0)
    assert kl_BR.abs().max() > 1e-3


def drifted(s: Stage) -> Any:
    """The models with a reference that is not the policy."""
    reference = copy.deepcopy(s.models.reference)
    with torch.no_grad():
        reference.get_input_embeddings().weight.mul_(1.1)
    return replace(s.models, reference=reference)


def test_the_language_loss_of_the_term_is_that_of_pretraining() -> None:
    """One implementation: step 0's mean over tokens, in any micro-batches."""
    s, _ = prepared()
    rows_BT = random_rows(5)
    batches = [rows_batch(part) for part in rows_BT.split(2)]
    loss = accumulate_language_loss(copy.deepcopy(s.models.policy), batches, Run(precision="fp64"), count=count_targets(batches))
    with torch.no_grad():
        assert loss == pytest.approx(float(language_loss(s.models.policy, rows_BT)), abs=1e-12)
