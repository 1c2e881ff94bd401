"""Sums, means and moments over the sampled tokens only.

One mask says what counts: True exactly on sampled tokens, the end token included. What stands off the mask is never
read, not even when it is NaN. The functions take tensors of any shape; `mask` has the shape of `x`.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

EPSILON = 1e-8
"""Added to a variance before its root, as in Ziegler et al.'s code."""


def masked_sum(x: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Σ of `x` over the mask."""
    return torch.where(mask, x, 0).sum()


def masked_mean(x: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], count: int | Tensor | None = None) -> Float[Tensor, ""]:
    """Σ of `x` over the mask, divided by `count`.

    `count` is the number of tokens in the global batch, so that the parts of a batch add up to its mean however it
    was cut (law D1); without it, the tokens of this mask, and NaN if there are none.
    """
    return masked_sum(x, mask) / (mask.sum() if count is None else count)


def masked_moments(x: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean and population variance over the mask: μ = Σx / n, σ² = Σ(x − μ)² / n."""
    mean = masked_mean(x, mask)
    return mean, masked_mean((x - mean) ** 2, mask)


def whiten(x: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], mean: Float[Tensor, ""], variance: Float[Tensor, ""]) -> Float[Tensor, "*shape"]:
    """(x − μ) / √(σ² + 1e-8): mean 0 and standard deviation 1 over the mask, zeros off it.

    For advantages. The moments are arguments because they belong to the whole minibatch, of which `x` may be a part.
    Source: Ziegler et al.'s code; the InstructGPT paper does not say.
    """
    return torch.where(mask, (x - mean) * torch.rsqrt(variance + EPSILON), 0)


def scale_by_std(x: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"], variance: Float[Tensor, ""]) -> Float[Tensor, "*shape"]:
    """x / √(σ² + 1e-8): standard deviation 1 over the mask, the mean scaled but not removed; zeros off the mask.

    For rewards, whose mean carries meaning: moving it would pay or charge for every further token.
    """
    return torch.where(mask, x * torch.rsqrt(variance + EPSILON), 0)


def last_of_mask(mask_BR: Bool[Tensor, "B R"]) -> Bool[Tensor, "B R"]:
    """True on the last sampled token of each row; a row without tokens has none."""
    return mask_BR & (mask_BR.cumsum(dim=1) == mask_BR.sum(dim=1, keepdim=True))
