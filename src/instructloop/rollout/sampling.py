"""How a token is chosen from logits: one uniform number per row against the cumulative sum, in float32 or better.

B rows, R response tokens, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from instructloop.errors import ConfigError
from instructloop.protocols import Sampling


def training_sampling(sampling: Sampling) -> Sampling:
    """`sampling` itself, if PPO may train on what it draws; raises `ConfigError` otherwise (law A4).

    Truncation biases the ratio π/π_old and makes the measured KL negative; a greedy answer is no sample of the policy.
    """
    if sampling.truncates:
        raise ConfigError(
            f"top_p {sampling.top_p} and top_k {sampling.top_k} in a rollout for training",
            expected="top_p 1 and top_k 0: every token can be drawn, so that log-probabilities are the policy's own (law A4)",
            remedy="truncate when serving only",
        )
    if sampling.temperature == 0:
        raise ConfigError("temperature 0 in a rollout for training", expected="more than 0", remedy="use 1, as the paper does")
    return sampling


def uniforms(seeds: Sequence[int], count: int) -> Tensor:
    """Float64 [B, count] in [0, 1): row b is a function of `seeds[b]` alone, whatever its companions."""
    rows = [torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in seeds]
    return torch.stack(rows)


def choose(logits_BV: Tensor, uniform_B: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """The next token of each row and its log-probability under the distribution it was drawn from.

    log p = z − log Σ exp z with z = logits / temperature, over the tokens that top-k and then top-p leave.
    A greedy choice (temperature 0) has the log-probability of temperature 1, since its own is always 0.
    """
    if sampling.temperature == 0:
        id_B = logits_BV.argmax(-1)
        return id_B, token_logprobs(logits_BV, id_B, temperature=1.0)
    scaled_BV = _truncated(_scaled(logits_BV, sampling.temperature), sampling)
    scaled_BV = scaled_BV - scaled_BV.amax(-1, keepdim=True)
    mass_BV = scaled_BV.exp().cumsum(-1, dtype=torch.float64)
    total_B1 = mass_BV[:, -1:]
    # Strictly below the total, so that rounding never picks a token of probability 0 behind the last possible one.
    threshold_B1 = torch.minimum(uniform_B[:, None] * total_B1, torch.nextafter(total_B1, torch.zeros_like(total_B1)))
    id_B1 = torch.searchsorted(mass_BV, threshold_B1, right=True).clamp_(max=logits_BV.shape[-1] - 1)
    logp_B1 = scaled_BV.gather(-1, id_B1) - total_B1.log().to(scaled_BV.dtype)
    return id_B1.squeeze(-1), logp_B1.squeeze(-1)


def likeliest(logits_BV: Tensor, sampling: Sampling, count: int) -> tuple[Tensor, Tensor]:
    """Ids and log-probabilities, two [B, count], of the likeliest tokens under the distribution that `choose` draws from.

    Tokens that truncation removed have −∞. Greedy choices are shown under temperature 1, as `choose` does.
    """
    greedy = sampling.temperature == 0
    scaled_BV = _scaled(logits_BV, 1.0) if greedy else _truncated(_scaled(logits_BV, sampling.temperature), sampling)
    logp_BC, id_BC = scaled_BV.log_softmax(-1).topk(min(count, logits_BV.shape[-1]), dim=-1)
    return id_BC, logp_BC


def token_logprobs(logits_BV: Tensor, id_B: Tensor, *, temperature: float) -> Tensor:
    """Log-probability [B] of given tokens."""
    return all_logprobs(logits_BV, temperature=temperature).gather(-1, id_B[:, None]).squeeze(-1)


def all_logprobs(logits_BV: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Log-probability of every token, [B, V]: log_softmax(logits / temperature) in float32, or float64 for float64 logits."""
    return _scaled(logits_BV, temperature).log_softmax(-1)


def _scaled(logits_BV: Tensor, temperature: float) -> Tensor:
    wide_BV = logits_BV if logits_BV.dtype == torch.float64 else logits_BV.float()
    return wide_BV if temperature == 1 else wide_BV / temperature


def _truncated(scaled_BV: Tensor, sampling: Sampling) -> Tensor:
    if 0 < sampling.top_k < scaled_BV.shape[-1]:
        smallest_B1 = scaled_BV.topk(sampling.top_k, dim=-1).values[:, -1:]
        scaled_BV = scaled_BV.masked_fill(scaled_BV < smallest_B1, -torch.inf)
    if sampling.top_p < 1:
        ordered_BV, place_BV = scaled_BV.sort(dim=-1, descending=True)
        probability_BV = ordered_BV.softmax(-1)
        mass_before_BV = probability_BV.cumsum(-1) - probability_BV
        dropped_BV = torch.zeros_like(scaled_BV, dtype=torch.bool).scatter_(-1, place_BV, mass_before_BV >= sampling.top_p)
        scaled_BV = scaled_BV.masked_fill(dropped_BV, -torch.inf)
    return scaled_BV
