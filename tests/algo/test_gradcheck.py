"""Every differentiable formula against finite differences, float64, away from its kinks."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from instructloop.algo import ppo, rewards
from instructloop.algo.advantages import gae
from instructloop.algo.language import projected_logprobs, token_nll
from instructloop.algo.masking import masked_mean, masked_moments, scale_by_std, whiten
from instructloop.algo.ranking import pair_losses

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])
ANSWERS, WINNERS, LOSERS = 5, torch.tensor([0, 0, 3]), torch.tensor([1, 2, 4])
TARGETS = torch.tensor([3, 0, 6, 1, 2])


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def whitened_by_own_moments(x: Tensor) -> Tensor:
    return whiten(x, MASK, *masked_moments(x, MASK))


def scaled_by_own_variance(x: Tensor) -> Tensor:
    return scale_by_std(x, MASK, masked_moments(x, MASK)[1])


CASES: dict[str, tuple[Callable[..., Tensor | tuple[Tensor, ...]], list[tuple[int, ...]]]] = {
    "masked_mean": (lambda x: masked_mean(x, MASK, 7), [(2, 4)]),
    "whiten": (whitened_by_own_moments, [(2, 4)]),
    "scale_by_std": (scaled_by_own_variance, [(2, 4)]),
    "gae": (lambda reward, value: gae(reward, value, MASK, gamma=0.9, lam=0.8), [(2, 4), (2, 4)]),
    "shaped_rewards": (lambda score, kl: rewards.shaped_rewards(score, kl, MASK, coef=0.3), [(2,), (2, 4)]),
    "k1": (rewards.k1, [(2, 4), (2, 4)]),
    "k2": (rewards.k2, [(2, 4), (2, 4)]),
    "k3": (rewards.k3, [(2, 4), (2, 4)]),
    "policy_loss_clip": (lambda new, old, a: ppo.policy_loss_clip(new, old, a, clip=0.2), [(40,), (40,), (40,)]),
    "policy_loss_penalty": (lambda new, old, a: ppo.policy_loss_penalty(new, old, a, coef=0.7), [(40,), (40,), (40,)]),
    "value_loss_clipped": (lambda new, old, r: ppo.value_loss_clipped(new, old, r, clip=0.2), [(40,), (40,), (40,)]),
    "pair_losses": (lambda score: pair_losses(score, WINNERS, LOSERS), [(ANSWERS,)]),
    "token_nll": (lambda logits: token_nll(logits, TARGETS), [(5, 7)]),
    "projected_logprobs": (
        lambda hidden, head: projected_logprobs(hidden, lambda h: h @ head, TARGETS, temperature=0.7, chunk=2)[0],
        [(5, 3), (3, 7)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_gradient_equals_finite_differences(name: str) -> None:
    function, shapes = CASES[name]
    assert torch.autograd.gradcheck(function, [random(*shape) for shape in shapes])
