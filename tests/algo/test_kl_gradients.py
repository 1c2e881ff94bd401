"""Which estimate of a divergence may stand in a loss (law C3): expected gradients summed over a whole vocabulary, no sampling."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from instructloop.algo.ppo import policy_loss_penalty
from instructloop.algo.rewards import k1, k2, k3

Estimate = Callable[[Tensor, Tensor], Tensor]


def two_distributions() -> tuple[Tensor, Tensor]:
    """Logits of p and q over nine tokens, both leaves."""
    return torch.randn(9, dtype=torch.float64, requires_grad=True), torch.randn(9, dtype=torch.float64, requires_grad=True)


def kl(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL(p‖q) by its definition."""
    logp, logq = p_logits.log_softmax(0), q_logits.log_softmax(0)
    return (logp.exp() * (logp - logq)).sum()


def expected(estimate: Estimate, p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """E_p of the estimate; as in a loss on sampled tokens, no gradient flows through the sampling."""
    logp, logq = p_logits.log_softmax(0), q_logits.log_softmax(0)
    return (logp.exp().detach() * estimate(logp, logq)).sum()


def gradient(value: Tensor, leaf: Tensor) -> Tensor:
    return torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize(("estimate", "biased"), [(k1, False), (k2, True), (k3, False)])
def test_bias(estimate: Estimate, biased: bool) -> None:
    p, q = two_distributions()
    assert torch.isclose(expected(estimate, p, q), kl(p, q), rtol=1e-12).item() is not biased


def test_signs() -> None:
    p, q = (x.log_softmax(0) for x in two_distributions())
    assert k1(p, q).min() < 0 < k1(p, q).max()
    assert k2(p, q).min() >= 0
    assert k3(p, q).min() >= 0


@pytest.mark.parametrize("estimate", [k1, k3])
def test_through_q_k1_and_k3_are_right(estimate: Estimate) -> None:
    p, q = two_distributions()
    torch.testing.assert_close(gradient(expected(estimate, p, q), q), gradient(kl(p, q), q))


def test_through_p_only_k2_is_right() -> None:
    p, q = two_distributions()
    truth = gradient(kl(p, q), p)
    torch.testing.assert_close(gradient(expected(k2, p, q), p), truth)
    torch.testing.assert_close(gradient(expected(k1, p, q), p), torch.zeros_like(truth))
    torch.testing.assert_close(gradient(expected(k3, p, q), p), gradient(kl(q, p), p))


def test_the_penalty_loss_has_the_gradient_of_kl_old_new() -> None:
    """With A = 0 only β′ · KL(π_old‖π) is left; its gradient by log π is −E_old[∇ log π]."""
    old, new = two_distributions()
    weight = old.softmax(0).detach()
    logp_old, logp_new = old.log_softmax(0).detach(), new.log_softmax(0)
    loss = (weight * policy_loss_penalty(logp_new, logp_old, torch.zeros_like(logp_old), coef=3.0)).sum()
    torch.testing.assert_close(gradient(loss, new), 3 * gradient(kl(old, new), new))
    torch.testing.assert_close(gradient(loss_at := kl(old, new), new), gradient(-(weight * new.log_softmax(0)).sum(), new))
    assert loss.item() == pytest.approx(3 * loss_at.item())


def test_the_penalty_is_silent_at_the_old_policy() -> None:
    """Each single token's gradient is zero there, not only their mean."""
    logp = torch.randn(9, dtype=torch.float64, requires_grad=True)
    loss = policy_loss_penalty(logp, logp.detach().clone(), torch.zeros(9, dtype=torch.float64), coef=3.0).sum()
    torch.testing.assert_close(gradient(loss, logp), torch.zeros(9, dtype=torch.float64))
