"""Laws B4, B5 and C1–C6: the formulas against arrays worked by hand, definitions spelled out, and torch's own schedules."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from instructloop.algo.advantages import gae
from instructloop.algo.kl_control import adaptive_coef, penalty_coef
from instructloop.algo.masking import masked_mean, masked_moments, scale_by_std, whiten
from instructloop.algo.ppo import policy_clipped, policy_loss_clip, policy_loss_penalty, value_clipped, value_loss_clipped
from instructloop.algo.ranking import pair_losses, pair_weights
from instructloop.algo.rewards import end_scores, kl_estimate, shaped_rewards
from instructloop.algo.schedules import lr_factor

LN2 = 0.6931471805599453


def tensor(*values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def flags(*values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.bool)


def same(came: Tensor, expected: Tensor, *, atol: float = 1e-9) -> None:
    torch.testing.assert_close(came, expected, rtol=0, atol=atol)


# B4: the score sits on the last sampled token.

MASK = flags([1, 1, 1], [1, 1, 0])
KL = tensor([0.1, 0.2, 0.3], [0.4, 0.0, math.nan])


def test_b4_score_on_the_last_sampled_token() -> None:
    same(shaped_rewards(tensor(2, -1), KL, MASK, coef=0.5), tensor([-0.05, -0.1, 1.85], [-0.2, -1.0, 0.0]))


def test_b4_return_is_score_minus_beta_times_the_kl_still_to_come() -> None:
    rewards = shaped_rewards(tensor(2, -1), KL, MASK, coef=0.5)
    for values in (torch.zeros(2, 3), torch.randn(2, 3)):
        _, returns = gae(rewards, values.double(), MASK, gamma=1.0, lam=1.0)
        same(returns, tensor([1.70, 1.75, 1.85], [-1.2, -1.0, 0.0]))


def test_b4_an_answer_without_tokens_is_paid_nothing() -> None:
    same(shaped_rewards(tensor(5.0), tensor([0.3, 0.3]), flags([0, 0]), coef=0.5), tensor([0.0, 0.0]))


# B5: an answer that hit the cap is over, and pays for it.


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("replace", (0.5, -3.0, -1.0, -1.0)),
        ("min", (0.5, -3.0, -1.0, -3.0)),
        ("add", (0.5, -3.0, -0.5, -4.0)),
        ("off", (0.5, -3.0, 0.5, -3.0)),
    ],
)
def test_b5_missing_end(mode: str, expected: tuple[float, ...]) -> None:
    came = end_scores(tensor(0.5, -3.0, 0.5, -3.0), flags(1, 1, 0, 0), mode=mode, missing_score=-1.0)
    same(came, tensor(*expected))


def test_b5_no_bootstrap_at_the_cap() -> None:
    """The value beside the last token's is the network's guess about a future that never comes."""
    reward, mask = tensor([0.0, 1.0, 0.0]), flags([1, 1, 0])
    for beyond in (0.0, 1000.0, math.nan):
        advantage, returns = gae(reward, tensor([0.5, 0.25, beyond]), mask, gamma=1.0, lam=0.0)
        same(advantage, tensor([-0.25, 0.75, 0.0]))
        same(returns, tensor([0.25, 1.0, 0.0]))


# C1: GAE.


def test_c1_by_hand() -> None:
    reward, value, mask = tensor([0, 0, 1]), tensor([0.5, 0.6, 0.7]), flags([1, 1, 1])
    advantage, returns = gae(reward, value, mask, gamma=1.0, lam=0.5)
    same(advantage, tensor([0.225, 0.25, 0.3]))
    same(returns, tensor([0.725, 0.85, 1.0]))
    advantage, _ = gae(reward, value, mask, gamma=0.9, lam=0.5)
    same(advantage, tensor([0.11425, 0.165, 0.3]))


def slow_gae(reward: np.ndarray, value: np.ndarray, gamma: float, lam: float) -> np.ndarray:
    """A_t = Σ_l (γλ)^l (r_{t+l} + γ V_{t+l+1} − V_{t+l}), V = 0 after the end."""
    padded = np.append(value, 0.0)
    return np.array([
        sum((gamma * lam) ** (s - t) * (reward[s] + gamma * padded[s + 1] - padded[s]) for s in range(t, len(reward)))
        for t in range(len(reward))
    ])  # fmt: skip


@given(
    lengths=st.lists(st.one_of(st.just(1), st.just(2), st.integers(1, 40)), min_size=1, max_size=5),
    padding=st.integers(0, 4),
    gamma=st.floats(0.5, 1.0),
    lam=st.floats(0.0, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_c1_equals_the_double_loop(lengths: list[int], padding: int, gamma: float, lam: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.arange(max(lengths) + padding) < np.array(lengths)[:, None]
    reward, value = (np.where(mask, rng.normal(size=mask.shape), np.nan) for _ in range(2))
    advantage, returns = gae(torch.from_numpy(reward), torch.from_numpy(value), torch.from_numpy(mask), gamma=gamma, lam=lam)
    for b, n in enumerate(lengths):
        expected = slow_gae(reward[b, :n], value[b, :n], gamma, lam)
        np.testing.assert_allclose(advantage[b, :n], expected, atol=1e-12)
        np.testing.assert_allclose(returns[b, :n], expected + value[b, :n], atol=1e-12)
        assert not advantage[b, n:].any()
        assert not returns[b, n:].any()


# C2: whitening.

ONE_TO_FOUR = tensor([1, 2, 3], [4, 99, -99])
FOUR = flags([1, 1, 1], [1, 0, 0])


def test_c2_moments_are_of_the_population_and_masked() -> None:
    mean, variance = masked_moments(ONE_TO_FOUR, FOUR)
    assert (mean.item(), variance.item()) == (2.5, 1.25)


def test_c2_whiten_removes_the_mean_and_scale_by_std_keeps_it() -> None:
    mean, variance = masked_moments(ONE_TO_FOUR, FOUR)
    whitened = tensor([-1.3416407865, -0.4472135955, 0.4472135955], [1.3416407865, 0, 0])
    scaled = tensor([0.8944271910, 1.7888543820, 2.6832815730], [3.5777087640, 0, 0])
    same(whiten(ONE_TO_FOUR, FOUR, mean, variance), whitened, atol=2e-8)
    same(scale_by_std(ONE_TO_FOUR, FOUR, variance), scaled, atol=2e-8)


def test_c2_parts_of_a_minibatch_are_whitened_as_the_whole() -> None:
    x, mask = torch.randn(6, 5, dtype=torch.float64), torch.rand(6, 5) < 0.7
    moments = masked_moments(x, mask)
    parts = [whiten(x[rows], mask[rows], *moments) for rows in (slice(0, 1), slice(1, 6))]
    same(torch.cat(parts), whiten(x, mask, *moments), atol=0)


# C3: KL estimates. p = 1/2 against q = 1/4, and the reverse.


@pytest.mark.parametrize(
    ("estimator", "forth", "back"),
    [("k1", LN2, -LN2), ("k2", 0.2402265070, 0.2402265070), ("k3", 0.1931471806, 0.3068528194)],
)
def test_c3_estimates_by_hand(estimator: str, forth: float, back: float) -> None:
    p, q = tensor([math.log(0.5), math.log(0.25)]), tensor([math.log(0.25), math.log(0.5)])
    same(kl_estimate(p, q, estimator), tensor([forth, back]))


# C4: clipped losses at, inside and outside the range, for both signs.

RATIOS = tensor(0.5, 0.8, 1.0, 1.1, 1.2, 1.5)


@pytest.mark.parametrize(
    ("advantage", "loss"),
    [(2.0, (-1.0, -1.6, -2.0, -2.2, -2.4, -2.4)), (-2.0, (1.6, 1.6, 2.0, 2.2, 2.4, 3.0)), (0.0, (0.0,) * 6)],
)
def test_c4_policy_loss(advantage: float, loss: tuple[float, ...]) -> None:
    old = tensor(-1, -2, -3, -4, -5, -6)
    same(policy_loss_clip(old + RATIOS.log(), old, torch.full_like(old, advantage), clip=0.2), tensor(*loss))


@pytest.mark.parametrize(
    ("advantage", "gradient", "clipped"),
    [(2.0, (-1.0, -2.0, -2.2, 0.0), (0, 0, 0, 1)), (-2.0, (0.0, 2.0, 2.2, 3.0), (1, 0, 0, 0))],
)
def test_c4_policy_gradient_stops_outside(advantage: float, gradient: tuple[float, ...], clipped: tuple[int, ...]) -> None:
    new, old = tensor(0.5, 1.0, 1.1, 1.5).log().requires_grad_(), tensor(0, 0, 0, 0)
    advantages = torch.full_like(old, advantage)
    policy_loss_clip(new, old, advantages, clip=0.2).sum().backward()
    assert new.grad is not None
    same(new.grad, tensor(*gradient))
    same(policy_clipped(new, old, advantages, clip=0.2), tensor(*clipped))


# V_old = 1, ε = 0.2: (V, R, loss, gradient, clipped)
VALUE_CASES = [
    (1.1, 2.0, 0.405, -0.9, 0),  # inside
    (1.2, 2.0, 0.320, None, 0),  # at the upper edge
    (1.5, 2.0, 0.320, 0.0, 1),  # beyond it, towards the return: as if at the edge
    (0.5, 2.0, 1.125, -1.5, 0),  # beyond the lower edge, away from the return: the full error
    (0.9, 0.0, 0.405, 0.9, 0),
    (0.8, 0.0, 0.320, None, 0),
    (0.5, 0.0, 0.320, 0.0, 1),
    (1.5, 0.0, 1.125, 1.5, 0),
]


@pytest.mark.parametrize(("value", "target", "loss", "gradient", "clipped"), VALUE_CASES)
def test_c4_value_loss(value: float, target: float, loss: float, gradient: float | None, clipped: int) -> None:
    new, old, returns = tensor(value).requires_grad_(), tensor(1.0), tensor(target)
    came = value_loss_clipped(new, old, returns, clip=0.2)
    same(came.detach(), tensor(loss))
    if gradient is not None:
        came.sum().backward()
        assert new.grad is not None
        same(new.grad, tensor(gradient))
        same(value_clipped(new, old, returns, clip=0.2), tensor(clipped))


# C5: two settings that are often confused.


def test_c5_penalty_by_hand() -> None:
    """ρ = 2 and ρ = 1/2 with A = 1, β′ = 3: −ρA + 3 (ρ − 1 − log ρ)."""
    loss = policy_loss_penalty(tensor(LN2, -LN2), tensor(0, 0), tensor(1, 1), coef=3.0)
    same(loss, tensor(-2 + 3 * 0.3068528194, -0.5 + 3 * 0.1931471806))


@pytest.mark.parametrize(
    ("kl", "expected"),
    [
        (6.0, 0.1),  # on target
        (6.6, 0.100512),  # 10 % above: 1 + 0.1 · 512 / 10000
        (5.4, 0.099488),
        (7.2, 0.101024),  # 20 %: where the clipping starts
        (60.0, 0.101024),
        (0.0, 0.098976),
    ],
)
def test_c5_ziegler(kl: float, expected: float) -> None:
    assert adaptive_coef(0.1, kl, target=6.0, horizon=10_000, episodes=512) == pytest.approx(expected, rel=1e-12)


def test_c5_ziegler_moves_with_episodes_not_calls() -> None:
    small = adaptive_coef(1.0, 60.0, target=6.0, horizon=10_000, episodes=64)
    assert (small - 1) * 8 == pytest.approx(adaptive_coef(1.0, 60.0, target=6.0, horizon=10_000, episodes=512) - 1)


@pytest.mark.parametrize(
    ("kl", "expected"), [(0.0, 0.5), (0.0066, 0.5), (0.0067, 1.0), (0.01, 1.0), (0.0149, 1.0), (0.0151, 2.0), (3.0, 2.0), (-0.1, 0.5)]
)
def test_c5_penalty_coefficient_halves_and_doubles(kl: float, expected: float) -> None:
    assert penalty_coef(1.0, kl, target=0.01) == expected


# C6: the ranking loss.


def test_c6_by_hand() -> None:
    """Two prompts: K = 3 with scores 2 > 1 = 1 (a tie: two pairs left), K = 2 with scores 0 > 0."""
    losses = pair_losses(tensor(2, 1, 1, 0, 0), torch.tensor([0, 0, 3]), torch.tensor([1, 2, 4]))
    same(losses, tensor(0.3132616875, 0.3132616875, LN2))
    prompt = torch.tensor([0, 0, 2])  # prompt 1 was all ties
    same((losses * pair_weights(prompt, weight="prompt")).sum(), torch.tensor((0.3132616875 + LN2) / 2).double(), atol=1e-7)
    same((losses * pair_weights(prompt, weight="pair")).sum(), torch.tensor((2 * 0.3132616875 + LN2) / 3).double(), atol=1e-7)


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_c6_equals_pairs_one_by_one(data: st.DataObject, seed: int) -> None:
    rankings = data.draw(st.lists(st.lists(st.integers(1, 4), min_size=2, max_size=9), min_size=1, max_size=5))
    scores = np.random.default_rng(seed).normal(scale=3, size=sum(map(len, rankings)))
    winners, losers, prompts, by_prompt, first = [], [], [], [], 0
    for number, ranks in enumerate(rankings):
        pairs = [(first + i, first + j) for i, a in enumerate(ranks) for j, b in enumerate(ranks) if a < b]
        winners += [i for i, _ in pairs]
        losers += [j for _, j in pairs]
        prompts += [number] * len(pairs)
        by_prompt += [[-math.log(1 / (1 + math.exp(scores[j] - scores[i]))) for i, j in pairs]] if pairs else []
        first += len(ranks)
    winner, loser, prompt = (torch.tensor(x, dtype=torch.int64) for x in (winners, losers, prompts))
    losses = pair_losses(torch.from_numpy(scores), winner, loser)
    everything = [loss for losses_of_prompt in by_prompt for loss in losses_of_prompt]
    expected = {
        "prompt": sum(sum(x) / len(x) for x in by_prompt) / max(len(by_prompt), 1),
        "pair": sum(everything) / max(len(everything), 1),
    }
    for weight, mean in expected.items():
        came = (losses * pair_weights(prompt, weight=weight)).sum().item()
        assert came == pytest.approx(mean, rel=1e-10)
        parts = [prompt == number for number in range(len(rankings))]
        counts = {"prompts": len(by_prompt), "pairs": len(everything)}
        cut = sum((losses[part] * pair_weights(prompt[part], weight=weight, **counts)).sum().item() for part in parts)
        assert cut == pytest.approx(mean, rel=1e-10)


# Schedules.

COSINE = {"decay": "cosine", "final_fraction": 0.1, "warmup": 0, "warmup_from": 0.1}


@pytest.mark.parametrize(("update", "expected"), [(0, 1.0), (2, 0.9140576475), (5, 0.55), (10, 0.1), (50, 0.1)])
def test_cosine_to_ten_percent(update: int, expected: float) -> None:
    assert lr_factor(update, total=11, **COSINE) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("update", "expected"), [(0, 0.1), (5, 0.55), (9, 0.91), (10, 1.0), (499, 1.0)])
def test_ppo_warmup_then_constant(update: int, expected: float) -> None:
    factor = lr_factor(update, total=500, decay="constant", final_fraction=0.1, warmup=10, warmup_from=0.1)
    assert factor == pytest.approx(expected, rel=1e-12)


def test_cosine_equals_torch() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=36, eta_min=0.1)
    for update in range(37):
        assert lr_factor(update, total=37, **COSINE) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        schedule.step()


def test_linear_and_one_update() -> None:
    assert lr_factor(3, total=11, **COSINE | {"decay": "linear"}) == pytest.approx(0.73)
    assert lr_factor(15, total=21, **COSINE | {"warmup": 10}) == pytest.approx(0.55)
    assert lr_factor(0, total=1, **COSINE) == 1.0


# D1, as far as formulas go: parts divided by the global count add up to the mean of the whole.


@given(rows=st.integers(1, 6), cut=st.integers(0, 6), seed=st.integers(0, 2**32 - 1))
def test_d1_parts_add_up(rows: int, cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, mask = torch.from_numpy(rng.normal(size=(rows, 4))), torch.from_numpy(rng.random((rows, 4)) < 0.5)
    mask[0, 0] = True
    count = mask.sum()
    parts = masked_mean(x[:cut], mask[:cut], count) + masked_mean(x[cut:], mask[cut:], count)
    assert parts.item() == pytest.approx(masked_mean(x, mask).item(), rel=1e-12, abs=1e-12)
