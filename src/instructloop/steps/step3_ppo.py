"""Step 3: reinforcement learning from human feedback, PPO and PPO-ptx (InstructGPT §3.5, App. C.3–C.4).

An episode is one prompt and one sampled answer. Its reward is the reward model's score of the whole answer, at the
last token, and on every token a charge −β·(log π − log π_SFT) for leaving the SFT model. The value network starts as
the reward model and is separate from the policy.

Shapes: B episodes, R response tokens (masked: True exactly on sampled tokens), T tokens of a row.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from transformers import PreTrainedModel

from instructloop.algo.advantages import gae
from instructloop.algo.kl_control import adaptive_coef, penalty_coef
from instructloop.algo.masking import masked_mean, masked_moments, scale_by_std, whiten
from instructloop.algo.ppo import policy_clipped, policy_loss_clip, policy_loss_penalty, value_loss_clipped
from instructloop.algo.rewards import end_scores, kl_estimate, shaped_rewards
from instructloop.algo.seeds import derive, permutation
from instructloop.config import PPO, Run
from instructloop.model.ema import Ema
from instructloop.model.finite import require_finite
from instructloop.model.policy import autocast, response_logprobs
from instructloop.model.scalar import ScalarModel
from instructloop.protocols import Engine, Sampling
from instructloop.rollout.batch import Rollout, assemble
from instructloop.steps.device import device
from instructloop.steps.language import accumulate_language_loss, count_targets, rows_batch
from instructloop.steps.optimization import gradient_norm, optimizer_step

Metrics = dict[str, float]


@dataclass(frozen=True)
class Models:
    """The four models of the paper's figure, and the average of the first."""

    policy: PreTrainedModel
    reference: PreTrainedModel
    """π_SFT: the frozen start of the policy."""
    value: ScalarModel
    score: Callable[[Rollout], Tensor]
    """The reward model, or any scorer: one scalar per episode [B]."""
    ema: Ema | None = None


@dataclass(frozen=True)
class Optimizers:
    """Policy and value network share no weights, so each has its own."""

    policy: torch.optim.Optimizer
    value: torch.optim.Optimizer


@dataclass
class Coefficients:
    """What the two controllers of law C5 adjust; saved with the run."""

    reward_kl: float
    """β, the price of a nat away from π_SFT."""
    trust_region: float
    """β′, the price of a nat away from the sampling policy, where the trust region is a penalty."""

    def state_dict(self) -> dict[str, float]:
        return {"reward_kl": self.reward_kl, "trust_region": self.trust_region}

    def load_state_dict(self, state: dict[str, float], /) -> None:
        self.reward_kl, self.trust_region = state["reward_kl"], state["trust_region"]


@dataclass(frozen=True)
class Iteration:
    """The settings under which one iteration runs."""

    number: int
    cfg: PPO
    run: Run
    coefs: Coefficients
    sampling: Sampling
    pad_id: int


def ppo_iteration(
    models: Models, engine: Engine, prompts: Sequence[Sequence[int]], pretraining: Iterator[Tensor], optimizers: Optimizers, at: Iteration
) -> tuple[Rollout, Metrics]:
    """One iteration: sample an answer to every prompt, then update on the episodes in random minibatches."""
    rollout = collect(models, engine, prompts, at)
    losses: list[Metrics] = []
    for epoch in range(at.cfg.inner_epochs):
        losses += [update(models, optimizers, rollout[rows_B], next(pretraining), at) for rows_B in minibatches(rollout, at, epoch)]
    metrics = rollout_metrics(rollout) | mean_of(losses) | {"ratio_first_error": losses[0]["ratio_error"]}
    metrics["end_score"] = float(end_score(rollout, rollout.score_B, at.cfg).double().mean())
    adjust(at.coefs, models.policy, rollout, metrics, at)
    return rollout, metrics


def minibatches(rollout: Rollout, at: Iteration, epoch: int) -> Sequence[Tensor]:
    """The episodes of each update of one pass over the rollout, in random order."""
    return permutation(len(rollout), at.run.seed, "minibatches", at.number, epoch).chunk(at.cfg.minibatches)


def micro_batches(episodes: Rollout, at: Iteration) -> Sequence[Tensor]:
    """The episodes of each forward pass, those of like lengths together."""
    return episodes.by_length().split(at.run.micro_batch)


def collect(models: Models, engine: Engine, prompts: Sequence[Sequence[int]], at: Iteration) -> Rollout:
    """Sample B episodes, score them, and estimate advantages, all under one snapshot of the policy."""
    cfg = at.cfg
    seeds = [derive(at.run.seed, "rollout", at.number, row) for row in range(len(prompts))]
    rollout = assemble(prompts, engine.generate(prompts, at.sampling, seeds), pad_id=at.pad_id)
    figures = {"score_B": models.score(rollout), **score_tokens(models, rollout, at)}
    require_finite({**vars(rollout), **figures}, **figures)
    rollout = replace(rollout, **figures)
    if cfg.old_logprobs == "engine":
        rollout = replace(rollout, logp_old_BR=rollout.engine_logp_BR.to(rollout.logp_old_BR))

    mask_BR = rollout.mask_BR
    score_B = end_score(rollout, rollout.score_B, cfg)
    kl_BR = kl_estimate(rollout.logp_old_BR, rollout.logp_ref_BR, cfg.kl.estimator)
    reward_BR = shaped_rewards(score_B, kl_BR, mask_BR, coef=at.coefs.reward_kl)
    if cfg.whiten_rewards:
        reward_BR = scale_by_std(reward_BR, mask_BR, masked_moments(reward_BR, mask_BR)[1])
    advantage_BR, return_BR = gae(reward_BR, rollout.value_BR, mask_BR, gamma=cfg.gamma, lam=cfg.lam)
    return replace(rollout, reward_BR=reward_BR, advantage_BR=advantage_BR, return_BR=return_BR)


def end_score(rollout: Rollout, score_B: Tensor, cfg: PPO) -> Tensor:
    """What the last token of each answer earns [B]: its score, less where the answer hit the cap (law B5)."""
    return end_scores(score_B, rollout.ended_B, mode=cfg.missing_end, missing_score=cfg.missing_end_score)


def update(models: Models, optimizers: Optimizers, minibatch: Rollout, pretraining_BT: Tensor, at: Iteration) -> Metrics:
    """One optimizer step of policy and value on one minibatch: objective (2) of the paper, descended.

        policy loss = mean over the minibatch's response tokens of the clipped loss
                      + γ_ptx · mean over the pretraining tokens of −log π(token)

    Both are means per token over the *global* minibatch, so γ_ptx (`ptx_coef`) depends neither on lengths nor on batch
    sizes: it is the weight of one average pretraining token against one average response token. The paper's 27.8
    belongs to a normalisation it does not state; docs/decisions.md has the mapping. Both gradients are accumulated in
    the same buffers, then clipped together, and one step follows (law C8).
    """
    count = int(minibatch.mask_BR.sum())
    moments = masked_moments(minibatch.advantage_BR, minibatch.mask_BR)
    minibatch = replace(minibatch, advantage_BR=whiten(minibatch.advantage_BR, minibatch.mask_BR, *moments))

    parts = [gradients(models, minibatch[rows_B], count, at) for rows_B in micro_batches(minibatch, at)]
    metrics: Metrics = {name: sum(part[name] for part in parts) for name in parts[0]} | {"ratio_error": max(part["ratio_error"] for part in parts)}
    if at.cfg.ptx_coef:
        batches = [rows_batch(rows) for rows in pretraining_BT.split(at.run.micro_batch)]
        metrics["ptx_loss"] = accumulate_language_loss(models.policy, batches, at.run, count=count_targets(batches), coef=at.cfg.ptx_coef)

    for optimizer in (optimizers.policy, optimizers.value):  # both are looked at before either network moves (law E1)
        gradient_norm(optimizer, vars(minibatch))
    step = partial(optimizer_step, lr_step=at.number, total=at.cfg.iterations, batch=vars(minibatch))
    if at.number < at.cfg.value_warmup:
        optimizers.policy.zero_grad(set_to_none=True)
    else:
        metrics |= step(optimizers.policy, at.cfg.optimizer)
        if models.ema is not None:
            models.ema.update(models.policy)
    metrics["value_grad_norm"] = step(optimizers.value, at.cfg.value_optimizer)["grad_norm"]
    return metrics


def gradients(models: Models, part: Rollout, count: int, at: Iteration) -> Metrics:
    """Add the policy's and the value network's gradient of one micro-batch to their buffers; `count` as in `update`."""
    cfg, region, part = at.cfg, at.cfg.trust_region, part.trimmed().to(device())
    mask_BR = part.mask_BR

    with autocast(at.run.precision, device()):
        logp_BR, entropy_BR = response_logprobs(
            models.policy, part.tokens_BT, part.prompt_length_B, mask_BR, temperature=cfg.temperature, chunk=at.run.loss_chunk
        )
    if region.kind == "clip":
        loss_BR = policy_loss_clip(logp_BR, part.logp_old_BR, part.advantage_BR, clip=region.clip)
    else:
        loss_BR = policy_loss_penalty(logp_BR, part.logp_old_BR, part.advantage_BR, coef=at.coefs.trust_region)
    if cfg.importance_cap:
        loss_BR = loss_BR * (part.logp_old_BR - part.engine_logp_BR).exp().clamp(max=cfg.importance_cap)
    policy_loss = masked_mean(loss_BR, mask_BR, count)
    require_finite(vars(part), ratio_BR=(logp_BR - part.logp_old_BR)[mask_BR].exp(), policy_loss=policy_loss)
    policy_loss.backward()

    with autocast(at.run.precision, device()):
        value_BR = models.value.values(part.tokens_BT, part.prompt_length_B, mask_BR)
    value_loss = masked_mean(value_loss_clipped(value_BR, part.value_BR, part.return_BR, clip=cfg.value_clip), mask_BR, count)
    require_finite(vars(part), value_loss=value_loss)
    value_loss.backward()
    return _gradient_metrics(part, logp_BR.detach(), entropy_BR, count, cfg) | {
        "loss": float(policy_loss.detach()),
        "value_loss": float(value_loss.detach()),
    }


def adjust(coefs: Coefficients, policy: PreTrainedModel, rollout: Rollout, metrics: Metrics, at: Iteration) -> None:
    """Move the two coefficients after an iteration (law C5), each by its own rule and its own KL."""
    kl, region = at.cfg.kl, at.cfg.trust_region
    metrics |= {"kl_coef": coefs.reward_kl}
    if kl.control == "adaptive":
        coefs.reward_kl = adaptive_coef(coefs.reward_kl, metrics["kl"], target=kl.target, horizon=kl.horizon, episodes=len(rollout))
    if region.kind == "penalty":
        moved = float(masked_mean(rollout.logp_old_BR - policy_logprobs(policy, rollout, at), rollout.mask_BR))
        metrics |= {"trust_region_coef": coefs.trust_region, "kl_to_sampler": moved}
        if region.adapt:
            coefs.trust_region = penalty_coef(coefs.trust_region, moved, target=region.target)


def score_tokens(models: Models, rollout: Rollout, at: Iteration) -> dict[str, Tensor]:
    """log π_old, log π_SFT and V of every response token, three [BR]."""
    values = models.value.values
    return {
        "logp_old_BR": policy_logprobs(models.policy, rollout, at),
        "logp_ref_BR": policy_logprobs(models.reference, rollout, at),
        "value_BR": _of_tokens(rollout, at, lambda part: values(part.tokens_BT, part.prompt_length_B, part.mask_BR)),
    }


def policy_logprobs(policy: PreTrainedModel, rollout: Rollout, at: Iteration) -> Tensor:
    """log π of every response token under the policy as it is now [BR], at the sampling temperature (law A4)."""
    settings = {"temperature": at.cfg.temperature, "chunk": at.run.loss_chunk}
    return _of_tokens(rollout, at, lambda part: response_logprobs(policy, part.tokens_BT, part.prompt_length_B, part.mask_BR, **settings)[0])


def rollout_metrics(rollout: Rollout) -> Metrics:
    """What the episodes of one iteration were like; token figures over sampled tokens only (law E3)."""
    mask_BR, length_B = rollout.mask_BR, rollout.mask_BR.sum(1).double()
    kl_B = torch.where(mask_BR, rollout.logp_old_BR - rollout.logp_ref_BR, 0).sum(1).double()
    gap_N = (rollout.engine_logp_BR - rollout.logp_old_BR)[mask_BR].abs().double()
    residual, spread = (rollout.return_BR - rollout.value_BR)[mask_BR], rollout.return_BR[mask_BR]
    return {
        "score": float(rollout.score_B.double().mean()),
        "kl": float(kl_B.mean()),
        "kl_standard_error": float(kl_B.std(correction=0) / len(rollout) ** 0.5),
        "response_tokens": float(length_B.mean()),
        "ended_share": float(rollout.ended_B.double().mean()),
        "return": float(rollout.return_BR[mask_BR].double().mean()),
        "explained_variance": float(1 - residual.var(correction=0) / spread.var(correction=0).clamp_min(1e-8)),
        "engine_gap_mean": float(gap_N.mean()),
        "engine_gap_p999": float(gap_N.quantile(0.999)),
    }


def mean_of(metrics: Iterable[Metrics]) -> Metrics:
    """The mean of each figure over the updates of an iteration."""
    rows = list(metrics)
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def _gradient_metrics(part: Rollout, logp_BR: Tensor, entropy_BR: Tensor, count: int, cfg: PPO) -> Metrics:
    change_BR = logp_BR - part.logp_old_BR
    clipped_BR = policy_clipped(logp_BR, part.logp_old_BR, part.advantage_BR, clip=cfg.trust_region.clip)
    return {
        "entropy": float(masked_mean(entropy_BR, part.mask_BR, count)),
        "ratio": float(masked_mean(change_BR.exp(), part.mask_BR, count)),
        "ratio_error": float(change_BR[part.mask_BR].expm1().abs().max()),
        "clip_fraction": float(masked_mean(clipped_BR, part.mask_BR, count)),
        "approx_kl": float(masked_mean(torch.expm1(change_BR) - change_BR, part.mask_BR, count)),
    }


@torch.no_grad()
def _of_tokens(rollout: Rollout, at: Iteration, figure: Callable[[Rollout], Tensor]) -> Tensor:
    """A figure of every response token [BR], computed in the micro-batches of the first pass of updates.

    In bf16 other shapes round otherwise, by up to a fifth of a token's probability: with the same ones the first ratio is 1 (law A1).
    """
    figure_BR = torch.zeros(rollout.mask_BR.shape, dtype=torch.float64 if at.run.precision == "fp64" else torch.float32)
    for minibatch_B in minibatches(rollout, at, epoch=0):
        for inner_B in micro_batches(rollout[minibatch_B], at):
            rows_B = minibatch_B[inner_B]
            part = rollout[rows_B].trimmed().to(device())
            with autocast(at.run.precision, device()):
                figure_BR[rows_B, : part.mask_BR.shape[1]] = figure(part).cpu()
    return figure_BR
