"""Bootstrap intervals against closed forms and invariances."""

import numpy as np
import pytest

from instructloop.errors import ConfigError
from instructloop.evals.statistics import bootstrap_difference, bootstrap_mean, pair_hits


def test_two_opposite_measurements_leave_everything_open():
    # Means of two draws from {0, 1} are 0, ½, 1 with probability ¼, ½, ¼: the 2.5 % and 97.5 % points are 0 and 1.
    interval = bootstrap_mean([0, 1])
    assert (interval.mean, interval.low, interval.high, interval.n) == (0.5, 0.0, 1.0, 2)


def test_the_width_is_that_of_the_normal_approximation():
    # 400 coin flips with 100 heads: standard error √(0.25·0.75/400) = 0.02165, so ± 0.0424 around 0.25.
    values = np.repeat([1.0, 0.0], [100, 300])
    interval = bootstrap_mean(values, resamples=10_000)
    assert interval.low == pytest.approx(0.25 - 0.0424, abs=0.004)
    assert interval.high == pytest.approx(0.25 + 0.0424, abs=0.004)


def test_repeating_a_measurement_inside_its_prompt_adds_no_certainty():
    values = np.random.default_rng(1).normal(size=30)
    once = bootstrap_mean(values)
    five_times = bootstrap_mean(np.repeat(values, 5), [i // 5 for i in range(150)])
    assert (once.low, once.high, once.n) == pytest.approx((five_times.low, five_times.high, five_times.n))


def test_prompts_weigh_by_their_number_of_measurements():
    interval = bootstrap_mean([1, 1, 1, 0], ["a", "a", "a", "b"])
    assert interval.mean == 0.75
    assert interval.n == 2


def test_equal_scores_count_one_half():
    assert pair_hits([2, -0.1, 0]).tolist() == [1, 0, 0.5]
    assert pair_hits([]).size == 0


def test_pairing_removes_what_the_items_vary():
    item = np.random.default_rng(2).normal(scale=100, size=50)
    interval = bootstrap_difference(item + 1, item)
    assert (interval.low, interval.mean, interval.high) == pytest.approx((1, 1, 1))


def test_the_same_seed_gives_the_same_interval_and_names_do_not_matter():
    values = np.random.default_rng(3).normal(size=20)
    assert bootstrap_mean(values, list(range(20)), seed=4) == bootstrap_mean(values, [f"p{i}" for i in range(20)], seed=4)


def test_nothing_measured_is_not_a_number():
    assert np.isnan(bootstrap_mean([]).mean)


def test_refusals():
    with pytest.raises(ConfigError, match="2000"):
        bootstrap_mean([1.0], resamples=100)
    with pytest.raises(ValueError, match="paired"):
        bootstrap_difference([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="group names"):
        bootstrap_mean([1.0], ["a", "b"])
