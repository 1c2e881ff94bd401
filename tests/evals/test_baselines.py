"""Length and bag-of-words baselines on hand-made pairs with closed-form answers."""

import math

import numpy as np
import pytest

from instructloop.errors import DataError
from instructloop.evals.baselines import (
    BagOfWords,
    LengthOnly,
    TextPair,
    baseline_hits,
    choose_bag_of_words,
    fit_bag_of_words,
    fit_bradley_terry,
    fit_length_only,
    fit_scale,
    pairwise_accuracy,
    text_pairs,
)
from instructloop.records import Completion, Prompt, Ranking


def pair(better: str, worse: str, prompt: str = "p") -> TextPair:
    return TextPair(prompt, better, worse)


def test_every_untied_pair_of_a_ranking():
    answers = tuple(Completion(id=name, prompt_id="p", text=name * 2) for name in "abc")
    ranking = Ranking(prompt=Prompt(id="p", text="?", user_id="u"), completions=answers, groups=(("b",), ("a", "c")), labeler_id="l")
    assert text_pairs([ranking]) == [pair("bb", "aa", "?"), pair("bb", "cc", "?")]


@pytest.mark.parametrize(("pairs", "prefers"), [([("aaa", "a"), ("aa", "a"), ("a", "aa")], "longer"), ([("a", "aaa"), ("a", "aaaa")], "shorter")])
def test_length_takes_the_direction_that_is_right_more_often(pairs: list[tuple[str, str]], prefers: str):
    assert fit_length_only([pair(*both) for both in pairs]).prefers == prefers


def test_equal_scores_count_one_half():
    assert baseline_hits(LengthOnly("longer"), [pair("aa", "a"), pair("a", "aa"), pair("a", "b")]).tolist() == [1, 0, 0.5]


def test_one_feature_has_the_closed_form_log_odds():
    # Three wins and one loss at difference ±1: σ(w) = ¾, w = log 3.
    weight = fit_bradley_terry(np.array([[1.0], [1.0], [1.0], [-1.0]]), l2=0.0)
    assert weight[0] == pytest.approx(math.log(3), abs=1e-6)


def test_the_gradient_vanishes_at_the_fit():
    difference = np.random.default_rng(0).normal(size=(50, 8))
    weight = fit_bradley_terry(difference, l2=2.0)
    lose = 1 / (1 + np.exp(difference @ weight))
    np.testing.assert_allclose(difference.T @ lose, 2.0 * weight, atol=1e-4)


def test_where_the_fit_starts_changes_nothing_but_the_time():
    difference_PF = np.random.default_rng(0).normal(size=(60, 4))
    cold_F, warm_F = (fit_bradley_terry(difference_PF, l2=2.0, start_F=start_F) for start_F in (None, np.array([3.0, -2.0, 1.0, 0.5])))
    np.testing.assert_allclose(warm_F, cold_F, atol=1e-6)


def test_a_word_gets_the_log_odds_per_log_count():
    pairs = [pair("good", "bad")] * 3 + [pair("bad", "good")]
    model = fit_bag_of_words(pairs, l2=1e-9)
    # One feature difference of log 2 for each of two words with opposite weights: 2·w·log 2 = log 3.
    assert model.weights["good"] == pytest.approx(math.log(3) / (2 * math.log(2)), abs=1e-4)
    assert model.score("Good, unknown words") - model.score("bad, unknown words") == pytest.approx(math.log(3), abs=1e-4)


def test_separable_pairs_stay_finite_and_l2_shrinks():
    pairs = [pair("yes", "no", str(i)) for i in range(20)]
    weak, strong = fit_bag_of_words(pairs, l2=0.1), fit_bag_of_words(pairs, l2=10.0)
    assert 0 < strong.weights["yes"] < weak.weights["yes"] < 20
    assert pairwise_accuracy(weak, pairs).mean == 1.0


def test_words_of_noise_are_at_chance_on_new_pairs():
    random = np.random.default_rng(1)
    texts = [" ".join(f"w{i}" for i in random.integers(200, size=10)) for _ in range(600)]
    pairs = [pair(a, b, str(i)) for i, (a, b) in enumerate(zip(texts[::2], texts[1::2], strict=True))]
    accuracy = pairwise_accuracy(choose_bag_of_words(pairs[:100], pairs[100:150]), pairs[150:])
    assert accuracy.low < 0.5 < accuracy.high
    assert accuracy.n == 150


def test_the_vocabulary_keeps_the_most_widespread_words():
    assert set(fit_bag_of_words([pair("a b", "a c"), pair("a", "b")], max_words=2).weights) == {"a", "b"}


def test_no_pairs_is_one_clear_error():
    with pytest.raises(DataError, match="no pairs"):
        fit_length_only([])
    with pytest.raises(DataError, match="no pairs"):
        fit_bag_of_words([])
    assert BagOfWords({}).score("anything") == 0


def test_the_scale_of_a_baseline_is_the_likeliest_one() -> None:
    """Of pairs that differ by ten characters the longer answer wins three times out of four: ln 3 of log-odds for ten characters."""
    pairs = [TextPair("p", "x" * 20, "x" * 10)] * 3000 + [TextPair("p", "x" * 10, "x" * 20)] * 1000
    assert fit_scale(LengthOnly("longer"), pairs) == pytest.approx(np.log(3) / 10, rel=1e-3)
    assert fit_scale(LengthOnly("shorter"), pairs) == 0.0
