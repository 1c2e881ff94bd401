"""C1–C5 as one: the chain of formulas and autograd against the NumPy oracle, on random ragged batches."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from conformance.numpy_ppo import Minibatch, Objective, Settings, objective
from instructloop.algo.advantages import gae
from instructloop.algo.masking import masked_mean, masked_moments, whiten
from instructloop.algo.ppo import policy_clipped, policy_loss_clip, policy_loss_penalty, value_clipped, value_loss_clipped
from instructloop.algo.rewards import end_scores, kl_estimate, shaped_rewards


def ragged_batch(lengths: list[int], seed: int) -> dict[str, np.ndarray]:
    """Random episodes; ratios and value changes leave the clip ranges often, and NaN stands where nothing may be read."""
    rng = np.random.default_rng(seed)
    rows, tokens = len(lengths), max(lengths)
    mask = np.arange(tokens) < np.array(lengths)[:, None]
    old = -rng.exponential(2.0, (rows, tokens))
    values = rng.normal(size=(rows, tokens))
    arrays = {
        "logp_old": old,
        "logp_new": old + rng.normal(scale=0.3, size=old.shape),
        "logp_ref": old + rng.normal(scale=0.3, size=old.shape),
        "values_old": values,
        "values_new": values + rng.normal(scale=0.4, size=old.shape),
    }
    arrays = {name: np.where(mask, array, np.nan) for name, array in arrays.items()}
    return arrays | {"score": rng.normal(size=rows), "ended": rng.random(rows) < 0.6, "mask": mask}


def ours(batch: dict[str, np.ndarray], settings: Settings) -> Objective:
    """The same objective from the package's functions, its gradients from autograd."""
    x: dict[str, Tensor] = {name: torch.from_numpy(array) for name, array in batch.items()}
    mask = x["mask"]
    with torch.no_grad():
        score = end_scores(x["score"], x["ended"], mode=settings.missing_end, missing_score=settings.missing_end_score)
        kl = kl_estimate(x["logp_old"], x["logp_ref"], settings.estimator)
        rewards = shaped_rewards(score, kl, mask, coef=settings.kl_coef)
        advantages, returns = gae(rewards, x["values_old"], mask, gamma=settings.gamma, lam=settings.lam)
        whitened = whiten(advantages, mask, *masked_moments(advantages, mask))
    # As from the model: log-probabilities and values are zero off the mask.
    logp_new, logp_old, new, old = (torch.where(mask, x[name], 0) for name in ("logp_new", "logp_old", "values_new", "values_old"))
    logp_new.requires_grad_()
    new.requires_grad_()
    if settings.trust_region == "clip":
        per_token = policy_loss_clip(logp_new, logp_old, whitened, clip=settings.clip)
    else:
        per_token = policy_loss_penalty(logp_new, logp_old, whitened, coef=settings.penalty_coef)
    policy_loss = masked_mean(per_token, mask)
    value_loss = masked_mean(value_loss_clipped(new, old, returns, clip=settings.value_clip), mask)
    (policy_loss + value_loss).backward()
    tensors = (rewards, advantages, returns, whitened)
    assert logp_new.grad is not None
    assert new.grad is not None
    return Objective(*(t.numpy() for t in tensors), policy_loss.item(), value_loss.item(), logp_new.grad.numpy(), new.grad.numpy())


def assert_equal(came: Objective, expected: Objective) -> None:
    for name, value in vars(expected).items():
        np.testing.assert_allclose(getattr(came, name), value, rtol=1e-10, atol=1e-12, err_msg=name)


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    seed=st.integers(0, 2**32 - 1),
    settings=st.builds(
        Settings,
        kl_coef=st.sampled_from([0.0, 0.02, 1.0]),
        estimator=st.sampled_from(["k1", "k2", "k3"]),
        gamma=st.sampled_from([1.0, 0.9]),
        lam=st.sampled_from([0.0, 0.95, 1.0]),
        clip=st.sampled_from([0.1, 0.2, 0.5]),
        missing_end=st.sampled_from(["replace", "min", "add", "off"]),
        trust_region=st.sampled_from(["clip", "penalty"]),
        penalty_coef=st.sampled_from([0.1, 3.0]),
    ),
)
def test_objective_and_gradients_equal_the_oracle(lengths: list[int], seed: int, settings: Settings) -> None:
    batch = ragged_batch(lengths, seed)
    assert_equal(ours(batch, settings), objective(Minibatch(**batch), settings))


@pytest.mark.parametrize("trust_region", ["clip", "penalty"])
def test_oracle_gradients_equal_finite_differences(trust_region: str) -> None:
    """The oracle's hand-made derivatives are checked by themselves, away from the package."""
    batch, settings = ragged_batch([4, 1, 3], seed=1), Settings(trust_region=trust_region)
    expected = objective(Minibatch(**batch), settings)
    for name, gradient, loss in (
        ("logp_new", expected.grad_logp_new, "policy_loss"),
        ("values_new", expected.grad_values_new, "value_loss"),
    ):
        for index in np.argwhere(batch["mask"]):
            step = np.zeros_like(batch[name])
            step[tuple(index)] = 1e-6
            ahead, behind = (getattr(objective(Minibatch(**batch | {name: batch[name] + s}), settings), loss) for s in (step, -step))
            assert (ahead - behind) / 2e-6 == pytest.approx(gradient[tuple(index)], abs=1e-8)


def test_clip_indicators_are_one_exactly_where_the_gradient_stops() -> None:
    batch, settings = ragged_batch([30, 17, 25], seed=2), Settings()
    expected = objective(Minibatch(**batch), settings)
    mask = torch.from_numpy(batch["mask"])
    tensor = {name: torch.where(mask, torch.from_numpy(batch[name]), 0) for name in ("logp_new", "logp_old", "values_new", "values_old")}
    policy = policy_clipped(tensor["logp_new"], tensor["logp_old"], torch.from_numpy(expected.whitened), clip=0.2)
    value = value_clipped(tensor["values_new"], tensor["values_old"], torch.from_numpy(expected.returns), clip=0.2)
    np.testing.assert_array_equal(policy.numpy()[batch["mask"]] == 1, expected.grad_logp_new[batch["mask"]] == 0)
    np.testing.assert_array_equal(value.numpy()[batch["mask"]] == 1, expected.grad_values_new[batch["mask"]] == 0)
    assert 0 < policy.mean() < 1
    assert 0 < value.mean() < 1
