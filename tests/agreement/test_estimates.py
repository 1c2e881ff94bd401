"""Intervals: known ones, how often they hold the truth, and what widens them."""

import numpy as np
import pytest

from instructloop.agreement.coefficients import krippendorff_alpha, pairwise_agreement
from instructloop.agreement.estimates import NOTHING, Rows, estimate, wilson
from instructloop.agreement.judgements import Choice, confusions, units
from instructloop.errors import ConfigError


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
)
def test_wilson_s_intervals_of_newcombe(hits: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, table I, method 3."""
    found = wilson(hits, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_wilson_of_nothing_and_of_nonsense() -> None:
    assert wilson(0, 0).why == NOTHING
    with pytest.raises(ConfigError):
        wilson(3, 2)


def ratio(sums: np.ndarray) -> np.ndarray:
    return sums[:, 0] / sums[:, 1]


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    value = np.random.default_rng(1).normal(0.4, 1, 400)
    rows = Rows(np.column_stack([value, np.ones(400)]), np.arange(400))
    found = estimate(rows, ratio, n=400)
    half = 1.96 * value.std() / 20
    assert found.value == pytest.approx(value.mean())
    assert (found.low, found.high) == (pytest.approx(value.mean() - half, abs=0.1 * half), pytest.approx(value.mean() + half, abs=0.1 * half))
    assert found == estimate(rows, ratio, n=400), "the same seed, the same ends"
    assert found.low != estimate(rows, ratio, n=400, seed=1).low


def test_cases_of_one_prompt_count_as_one() -> None:
    """Ten copies of everything within the same prompts are no more evidence than one."""
    value = np.random.default_rng(2).integers(0, 2, 60).astype(float)
    once = estimate(Rows(np.column_stack([value, np.ones(60)]), np.arange(60)), ratio, n=60)
    tenfold = estimate(Rows(np.repeat(np.column_stack([value, np.ones(60)]), 10, axis=0), np.repeat(np.arange(60), 10)), ratio, n=600)
    assert (once.low, once.high) == (tenfold.low, tenfold.high)
    assert tenfold.prompts == 60


def test_drawing_labelers_too_widens_the_interval_where_they_differ() -> None:
    """Six people of whom one answers at random: how many such people there are is what a claim about labelers hangs on."""
    random = np.random.default_rng(3)
    said = [Choice(str(p), str(p), f"person {n}", int(random.integers(2)) if n == 0 else p % 2) for p in range(120) for n in range(6)]
    table = confusions(said, 2)
    prompts, people = pairwise_agreement(table), pairwise_agreement(table, labelers_too=True)
    assert prompts.value == people.value
    assert prompts.low is not None
    assert people.low is not None
    assert people.high - people.low > 1.5 * (prompts.high - prompts.low)


def test_what_hangs_on_one_prompt_has_no_interval() -> None:
    """Without the one prompt on which a flag was set at all, everybody says the same: a third of the resamples are undefined."""
    said = [Choice(str(p), str(p), person, int(p == 0 and person != "c")) for p in range(10) for person in "abc"]
    alpha = krippendorff_alpha(units(said, 2), "nominal")
    assert alpha.value is not None
    assert alpha.low is None


def test_few_resamples_are_refused() -> None:
    with pytest.raises(ConfigError):
        estimate(Rows(np.ones((2, 2)), np.arange(2)), ratio, n=2, resamples=1000)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """40 prompts of 5 correlated cases each, true agreement 0.7: 95 % intervals hold it in 91 to 98 % of 300 worlds."""
    held = 0
    for world in range(300):
        random = np.random.default_rng(world)
        hard = random.beta(3.5, 1.5, 40)  # mean 0.7
        same = random.binomial(5, hard).astype(float)
        found = estimate(Rows(np.column_stack([same, np.full(40, 5.0)]), np.arange(40)), ratio, n=200)
        held += found.low is not None and found.high is not None and found.low <= 0.7 <= found.high
    assert 0.91 <= held / 300 <= 0.98
