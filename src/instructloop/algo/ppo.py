"""The losses of proximal policy optimisation, per token.

Every function takes tensors of one shape, any shape, and returns that shape; the caller takes the `masked_mean` with
the count of the global batch. ρ = π(token) / π_old(token) is the probability ratio; π_old sampled the tokens.
The gradient flows through `logp_new` and `value_new`; everything else is a constant.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from instructloop.algo.rewards import k3


def policy_loss_clip(
    logp_new: Float[Tensor, "*shape"], logp_old: Float[Tensor, "*shape"], advantage: Float[Tensor, "*shape"], *, clip: float
) -> Float[Tensor, "*shape"]:
    """−min(ρ A, clip(ρ, 1−ε, 1+ε) A), ε = `clip`: no gain from moving ρ further than ε in the direction of A.

    Source: PPO (arXiv 1707.06347) §3, eq. 7; ε = 0.2 in InstructGPT App. C.4.
    """
    ratio = torch.exp(logp_new - logp_old)
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def policy_loss_penalty(
    logp_new: Float[Tensor, "*shape"], logp_old: Float[Tensor, "*shape"], advantage: Float[Tensor, "*shape"], *, coef: float
) -> Float[Tensor, "*shape"]:
    """−ρ A + β′ · KL(π_old‖π), β′ = `coef`: a charge instead of a wall.

    The tokens were sampled from π_old, so KL(π_old‖π) = E_old[log π_old − log π], with gradient −E_old[∇log π]. It is
    estimated by k3 = ρ − 1 − log ρ, which has that gradient on average and none at π = π_old.
    Source: PPO §4, eq. 8.
    """
    return -torch.exp(logp_new - logp_old) * advantage + coef * k3(logp_old, logp_new)


def value_loss_clipped(
    value_new: Float[Tensor, "*shape"], value_old: Float[Tensor, "*shape"], returns: Float[Tensor, "*shape"], *, clip: float
) -> Float[Tensor, "*shape"]:
    """½ max((V − R)², (clip(V, V_old − ε, V_old + ε) − R)²): no gain from moving V further than ε towards R.

    Source: the code of Ziegler et al. and Stiennon et al. (ε = 0.2); not in the PPO paper.
    """
    return torch.maximum((value_new - returns) ** 2, (_near(value_new, value_old, clip) - returns) ** 2) / 2


def policy_clipped(
    logp_new: Float[Tensor, "*shape"], logp_old: Float[Tensor, "*shape"], advantage: Float[Tensor, "*shape"], *, clip: float
) -> Float[Tensor, "*shape"]:
    """1 where the clipping of `policy_loss_clip` has stopped the gradient, else 0: its masked mean is the clip fraction."""
    change = torch.expm1(logp_new - logp_old)
    return (change * advantage.sign() > clip).to(advantage.dtype)


def value_clipped(
    value_new: Float[Tensor, "*shape"], value_old: Float[Tensor, "*shape"], returns: Float[Tensor, "*shape"], *, clip: float
) -> Float[Tensor, "*shape"]:
    """1 where the clipping of `value_loss_clipped` has stopped the gradient, else 0."""
    overshot = (_near(value_new, value_old, clip) - returns).abs() > (value_new - returns).abs()
    return overshot.to(returns.dtype)


def _near(value: Tensor, centre: Tensor, clip: float) -> Tensor:
    return torch.clamp(value, min=centre - clip, max=centre + clip)
