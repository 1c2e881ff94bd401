"""The reward of every token: the score of the answer at its end, and a charge for leaving π_SFT on the way.

    r_t = −β · kl_t + [t is the last token] · score          InstructGPT §3.5, eq. 2; per token as in App. C.4

B rows, R response tokens.

Three estimates of KL(p‖q) = E_p[log p − log q] from one token sampled from p (J. Schulman, "Approximating KL
Divergence", 2020). As a *reward* each may be used. In a *loss* what counts is the expected gradient, which differs:

    estimate                     bias   gradient through q          gradient through p, sampled from p itself
    k1 = log p − log q           none   ∇KL(p‖q)                    0
    k2 = k1² / 2                 some   ∇E_p[k1²] / 2               ∇KL(p‖q)
    k3 = e^(−k1) − 1 + k1        none   ∇KL(p‖q), less noise        ∇KL(q‖p), the other direction
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from instructloop.algo.masking import last_of_mask

Estimator = Literal["k1", "k2", "k3"]
MissingEnd = Literal["replace", "min", "add", "off"]


def k1(logp: Float[Tensor, "*shape"], logq: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log p − log q: unbiased, of either sign, never clamped (a clamp at 0 would charge for noise).

    In a loss: right when the gradient flows through q. Through p its expectation is E_p[∇log p] = 0: pure noise.
    """
    return logp - logq


def k2(logp: Float[Tensor, "*shape"], logq: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """(log p − log q)² / 2: biased, never negative.

    In a loss: right when the gradient flows through p, E_p[(log p − log q) ∇log p] = ∇KL(p‖q), and p is what samples.
    """
    return (logp - logq) ** 2 / 2


def k3(logp: Float[Tensor, "*shape"], logq: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """q/p − 1 − log(q/p): unbiased, never negative.

    In a loss: right when the gradient flows through q: the term q/p − 1 it adds to k1 is 0 on average, and so is its
    gradient, and it takes away noise (at p = q all of it). Through p it gives −E_q[∇log p] = ∇KL(q‖p).
    """
    return torch.expm1(logq - logp) - (logq - logp)


_ESTIMATORS = {"k1": k1, "k2": k2, "k3": k3}


def kl_estimate(logp_BR: Float[Tensor, "B R"], logp_ref_BR: Float[Tensor, "B R"], estimator: Estimator) -> Float[Tensor, "B R"]:
    """KL(π‖π_SFT) in nats, estimated token by token; k1 is the paper's and the lineage's."""
    return _ESTIMATORS[estimator](logp_BR, logp_ref_BR)


def end_scores(score_B: Float[Tensor, " B"], ended_B: Bool[Tensor, " B"], *, mode: MissingEnd, missing_score: float) -> Float[Tensor, " B"]:
    """The score of each answer once answers that hit the cap on length (`ended_B` False) have paid for it (law B5).

    replace   missing_score              Ziegler et al., Stiennon et al.: also lifts scores below it
    min       min(score, missing_score)  ours: the penalty stays a penalty
    add       score + missing_score
    off       score
    """
    return torch.where(ended_B, score_B, _unended(score_B, mode, missing_score))


def _unended(score_B: Tensor, mode: MissingEnd, missing_score: float) -> Tensor:
    match mode:
        case "replace":
            return torch.full_like(score_B, missing_score)
        case "min":
            return score_B.clamp(max=missing_score)
        case "add":
            return score_B + missing_score
        case "off":
            return score_B


def shaped_rewards(score_B: Float[Tensor, " B"], kl_BR: Float[Tensor, "B R"], mask_BR: Bool[Tensor, "B R"], *, coef: float) -> Float[Tensor, "B R"]:
    """r_t = −β · kl_t + [t is the last sampled token] · score, zeros off the mask; β is `coef`.

    With γ = λ = 1 the return of every token is then the score minus β · (the KL still to come), law B4.
    Source: InstructGPT §3.5, eq. 2; Ziegler et al. §2.2.
    """
    return torch.where(mask_BR, -coef * kl_BR, 0) + torch.where(last_of_mask(mask_BR), score_B[:, None], 0)
