"""The trigram model against a slow implementation over dictionaries, and as a probability distribution."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from instructloop.errors import DataError
from instructloop.evals.ngram import train_trigram

VOCAB = 12


def corpus(length: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    tokens = [0, 1]
    for _ in range(length - 2):
        likely = (3 * tokens[-1] + tokens[-2]) % VOCAB
        tokens.append(likely if random.random() < 0.6 else int(random.geometric(0.3)) % VOCAB)
    return np.array(tokens, dtype=np.uint16)


class SlowKneserNey:
    """Chen & Goodman's formulas, one dictionary per quantity."""

    def __init__(self, tokens: list[int], vocab: int) -> None:
        self.vocab = vocab
        grams = Counter(zip(tokens, tokens[1:], tokens[2:], strict=False))
        self.counts = {3: grams}
        for n in (2, 1):
            self.counts[n] = Counter(gram[1:] for gram in self.counts[n + 1])
        self.following = {n: defaultdict(dict) for n in (1, 2, 3)}
        for n, counts in self.counts.items():
            for gram, count in counts.items():
                self.following[n][gram[:-1]][gram[-1]] = count

    def discount(self, n: int, count: int) -> float:
        seen = Counter(self.counts[n].values())
        n1, n2, n3, n4 = (seen[i] for i in (1, 2, 3, 4))
        if 0 in (n1, n2, n3, n4):
            return 0.5
        y = n1 / (n1 + 2 * n2)
        value = {1: 1 - 2 * y * n2 / n1, 2: 2 - 3 * y * n3 / n2, 3: 3 - 4 * y * n4 / n3}[min(count, 3)]
        return value if value > 0 else 0.5

    def probability(self, history: tuple[int, ...], token: int) -> float:
        n = len(history) + 1
        lower = self.probability(history[1:], token) if history else 1 / self.vocab
        following = self.following[n].get(history)
        if not following:
            return lower
        total = sum(following.values())
        mass = sum(self.discount(n, count) for count in following.values()) / total
        count = following.get(token, 0)
        return (max(count - self.discount(n, count), 0) / total if count else 0.0) + mass * lower


@pytest.mark.parametrize("length", [3, 10, 60, 2_000])
def test_equals_the_slow_implementation(length: int):
    tokens, held_out = corpus(length, seed=0), corpus(200, seed=1)
    slow = SlowKneserNey(tokens.tolist(), VOCAB)
    expected = [-math.log(slow.probability((a, b), c)) for a, b, c in zip(*(held_out[i:].tolist() for i in range(3)), strict=False)]
    np.testing.assert_allclose(train_trigram(tokens, vocab=VOCAB).token_nll(held_out), expected, rtol=1e-5)


@pytest.mark.parametrize("length", [3, 50, 3_000])
def test_probabilities_sum_to_one_after_every_history(length: int):
    model = train_trigram(corpus(length, seed=2), vocab=VOCAB)
    history = np.array([(a, b) for a in range(VOCAB) for b in range(VOCAB)])
    total = sum(model.probabilities(history, np.full(len(history), token)) for token in range(VOCAB))
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_a_hand_worked_corpus():
    # 0 1 0 1 0: trigrams 010 twice and 101 once; all discounts are ½ because the counts of counts have gaps.
    # Unigrams have one left neighbour each: P(0) = P(1) = ¼ + ½·¼ + … with V = 4: (1 − ½)/2 + ½·¼ = 0.375.
    # P(1 | 0) = (1 − ½)/1 + ½·0.375 = 0.6875; P(1 | 1, 0) = (1 − ½)/1 + ½·0.6875 = 0.84375.
    model = train_trigram(np.array([0, 1, 0, 1, 0]), vocab=4)
    assert model.probabilities(np.array([[1, 0]]), np.array([1]))[0] == pytest.approx(0.84375)
    # An unseen context leaves all to the lower orders: P(1 | 3, 0) = P(1 | 0).
    assert model.probabilities(np.array([[3, 0]]), np.array([1]))[0] == pytest.approx(0.6875)


def test_it_learns_and_never_says_impossible():
    model = train_trigram(corpus(20_000, seed=3), vocab=VOCAB)
    held_out = corpus(5_000, seed=4)
    # The source takes the likely token with 0.6 plus whatever the geometric law adds: well below log 12 = 2.48 nats.
    assert model.mean_nll(held_out) < 1.6
    assert np.isfinite(model.token_nll(np.arange(VOCAB))).all()


def test_chunks_do_not_change_the_result():
    model, held_out = train_trigram(corpus(500, seed=5), vocab=VOCAB), corpus(100, seed=6)
    np.testing.assert_array_equal(model.token_nll(held_out), model.token_nll(held_out, chunk=7))


@pytest.mark.parametrize(("tokens", "vocab"), [([1, 2], 4), ([1, 2, 4], 4), ([1, 2, 3], 1 << 21)])
def test_refusals(tokens: list[int], vocab: int):
    with pytest.raises(DataError):
        train_trigram(np.array(tokens), vocab=vocab)
