"""The objective of one PPO minibatch in NumPy, float64, row by row and token by token, with its gradients by hand.

An oracle for the package: written from the papers (PPO, arXiv 1707.06347; GAE, arXiv 1506.02438; InstructGPT,
arXiv 2203.02155, eq. 2) with loops instead of tensor operations, and importing nothing of the package.

Arrays are [rows, tokens], but for `score` and `ended`; row b uses its first mask[b].sum() entries, and nothing beyond
them is read.
"""

from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Settings:
    kl_coef: float = 0.02
    estimator: str = "k1"
    gamma: float = 1.0
    lam: float = 0.95
    clip: float = 0.2
    value_clip: float = 0.2
    missing_end: str = "min"
    missing_end_score: float = -1.0
    trust_region: str = "clip"
    penalty_coef: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Minibatch:
    logp_new: Array
    logp_old: Array
    logp_ref: Array
    values_old: Array
    values_new: Array
    score: Array
    ended: Flags
    mask: Flags


@dataclass(frozen=True)
class Objective:
    """Everything on the way, zeros off the mask; losses are means over the sampled tokens of the minibatch."""

    rewards: Array
    advantages: Array
    returns: Array
    whitened: Array
    policy_loss: float
    value_loss: float
    grad_logp_new: Array
    grad_values_new: Array


def objective(x: Minibatch, settings: Settings) -> Objective:
    """The losses and gradients of the minibatch that consists of these rows and no others."""
    rewards, advantages, returns, whitened, grad_logp, grad_values = (np.zeros(x.mask.shape) for _ in range(6))
    lengths = [int(row.sum()) for row in x.mask]
    for b, n in enumerate(lengths):
        final = final_score(x.score[b], bool(x.ended[b]), settings)
        for t in range(n):
            charge = settings.kl_coef * divergence(x.logp_old[b, t] - x.logp_ref[b, t], settings.estimator)
            rewards[b, t] = final - charge if t == n - 1 else -charge
        for t in range(n):
            advantages[b, t] = advantage_at(t, rewards[b, :n], x.values_old[b, :n], settings)
            returns[b, t] = advantages[b, t] + x.values_old[b, t]

    tokens = [(b, t) for b, n in enumerate(lengths) for t in range(n)]
    mean = sum(advantages[i] for i in tokens) / len(tokens)
    variance = sum((advantages[i] - mean) ** 2 for i in tokens) / len(tokens)

    policy_loss = value_loss = 0.0
    for i in tokens:
        whitened[i] = (advantages[i] - mean) / (variance + 1e-8) ** 0.5
        loss, slope = policy_term(x.logp_new[i], x.logp_old[i], whitened[i], settings)
        policy_loss, grad_logp[i] = policy_loss + loss / len(tokens), slope / len(tokens)
        loss, slope = value_term(x.values_new[i], x.values_old[i], returns[i], settings.value_clip)
        value_loss, grad_values[i] = value_loss + loss / len(tokens), slope / len(tokens)
    return Objective(rewards, advantages, returns, whitened, policy_loss, value_loss, grad_logp, grad_values)


def final_score(score: float, ended: bool, settings: Settings) -> float:
    """What the answer as a whole is paid."""
    if ended:
        return score
    penalised = {
        "replace": settings.missing_end_score,
        "min": min(score, settings.missing_end_score),
        "add": score + settings.missing_end_score,
        "off": score,
    }
    return penalised[settings.missing_end]


def divergence(log_ratio: float, estimator: str) -> float:
    """Schulman's estimates from log p/q of one sample of p."""
    return {"k1": log_ratio, "k2": 0.5 * log_ratio * log_ratio, "k3": exp(-log_ratio) - 1.0 + log_ratio}[estimator]


def advantage_at(t: int, rewards: Array, values: Array, settings: Settings) -> float:
    """GAE by its definition, the discounted sum of all later temporal differences; V is 0 once the answer is over."""
    total = 0.0
    for k in range(t, len(rewards)):
        following = values[k + 1] if k + 1 < len(rewards) else 0.0
        total += (settings.gamma * settings.lam) ** (k - t) * (rewards[k] + settings.gamma * following - values[k])
    return total


def policy_term(new: float, old: float, advantage: float, settings: Settings) -> tuple[float, float]:
    """Loss of one token and its derivative by log π(token); dρ/d log π = ρ."""
    ratio = exp(new - old)
    if settings.trust_region == "penalty":
        divergence_term = ratio - 1.0 - (new - old)
        return -ratio * advantage + settings.penalty_coef * divergence_term, -ratio * advantage + settings.penalty_coef * (ratio - 1.0)
    low, high = 1.0 - settings.clip, 1.0 + settings.clip
    if advantage > 0 and ratio > high:
        return -high * advantage, 0.0
    if advantage < 0 and ratio < low:
        return -low * advantage, 0.0
    return -ratio * advantage, -ratio * advantage


def value_term(new: float, old: float, target: float, clip: float) -> tuple[float, float]:
    """Loss of one token and its derivative by V(token): the worse of the free and the clipped prediction counts."""
    clipped = min(max(new, old - clip), old + clip)
    free_error, clipped_error = new - target, clipped - target
    if abs(clipped_error) > abs(free_error):
        return 0.5 * clipped_error**2, 0.0
    return 0.5 * free_error**2, free_error
