"""What a reward model must beat: answer length alone, and a bag of words. Both see the answers and never the prompt.

Legend: P pairs, F features (words). Accuracies are over pairs, with intervals from drawing prompts again; a score that does
not tell two answers apart counts one half.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from instructloop.errors import DataError
from instructloop.evals.statistics import Floats, Interval, bootstrap_mean, pair_hits
from instructloop.records import Ranking
from instructloop.store.splits import split_key

_WORD = re.compile(r"\w+|[^\w\s]")
_NEWTON_STEPS = 100
_SMALLEST_DECREASE = 1e-10


@dataclass(frozen=True)
class TextPair:
    """Two answers to one prompt, of which people preferred the first."""

    prompt_key: str
    """What tells prompts apart: `splits.split_key`."""
    better: str
    worse: str


class Baseline(Protocol):
    """Anything that gives an answer a scalar."""

    def score(self, text: str) -> float: ...


@dataclass(frozen=True)
class LengthOnly:
    """Prefers the longer answer, or the shorter one, in characters."""

    prefers: Literal["longer", "shorter"]

    def score(self, text: str) -> float:
        """Characters of the answer, negative when shorter is better."""
        return float(len(text) if self.prefers == "longer" else -len(text))


@dataclass(frozen=True)
class BagOfWords:
    """Logistic Bradley–Terry on log(1 + count) of each word."""

    weights: dict[str, float]

    def score(self, text: str) -> float:
        """Σ over words of weight · log(1 + count); unknown words weigh nothing."""
        return sum(self.weights.get(word, 0.0) * float(np.log1p(count)) for word, count in _word_counts(text).items())


def text_pairs(rankings: Iterable[Ranking]) -> list[TextPair]:
    """Every untied pair of every ranking."""
    return [
        TextPair(split_key(ranking.prompt), ranking.completions[winner].text, ranking.completions[loser].text)
        for ranking in rankings
        for winner, loser in ranking.pairs
    ]


def fit_length_only(pairs: Sequence[TextPair]) -> LengthOnly:
    """The direction that is right more often on the training pairs; longer when both are equal."""
    _require_some(pairs)
    balance = sum(np.sign(len(pair.better) - len(pair.worse)) for pair in pairs)
    return LengthOnly("longer" if balance >= 0 else "shorter")


def fit_scale(baseline: Baseline, pairs: Sequence[TextPair]) -> float:
    """The factor that makes a baseline's differences of score the likeliest log-odds of the pairs (at least 0: it turns none round).

    With it a reward in characters can be held against probabilities.
    """
    _require_some(pairs)
    margin_P = np.array([baseline.score(pair.better) - baseline.score(pair.worse) for pair in pairs], dtype=np.float64)
    return max(0.0, float(fit_bradley_terry(margin_P[:, None], l2=1.0)[0]))


def fit_bag_of_words(pairs: Sequence[TextPair], *, l2: float = 10.0, max_words: int = 2_000) -> BagOfWords:
    """Weights that minimise Σ over pairs of −log σ(w·(x_better − x_worse)) + l2/2·|w|², x being log(1 + count).

    The vocabulary is the `max_words` words found in the most answers. A pair has no order, so there is no intercept.
    """
    words, difference_PF = _word_differences(pairs, max_words)
    return _weighted(words, fit_bradley_terry(difference_PF, l2=l2))


def choose_bag_of_words(
    train: Sequence[TextPair], valid: Sequence[TextPair], *, l2s: Sequence[float] = (1, 3, 10, 30, 100), max_words: int = 2_000
) -> BagOfWords:
    """The bag of words whose L2 strength gives the highest accuracy on the validation pairs; the strongest of equals."""
    words, difference_PF = _word_differences(train, max_words)
    fitted: list[BagOfWords] = []
    weight_F = None
    for l2 in sorted(l2s, reverse=True):
        weight_F = fit_bradley_terry(difference_PF, l2=l2, start_F=weight_F)
        fitted.append(_weighted(words, weight_F))
    return max(fitted, key=lambda model: float(baseline_hits(model, valid).mean()) if valid else 0.0)


def _word_differences(pairs: Sequence[TextPair], max_words: int) -> tuple[list[str], Floats]:
    """The vocabulary, and x_better − x_worse of every pair [P, F]."""
    _require_some(pairs)
    counts = [(_word_counts(pair.better), _word_counts(pair.worse)) for pair in pairs]
    frequency = Counter(word for both in counts for one in both for word in one)
    column = {word: i for i, (word, _) in enumerate(sorted(frequency.items(), key=lambda item: (-item[1], item[0]))[:max_words])}
    difference_PF = np.zeros((len(pairs), len(column)))
    for row, (better, worse) in enumerate(counts):
        for sign, words in ((1.0, better), (-1.0, worse)):
            for word in words.keys() & column.keys():
                difference_PF[row, column[word]] += sign * np.log1p(words[word])
    return list(column), difference_PF


def _weighted(words: Sequence[str], weight_F: Floats) -> BagOfWords:
    return BagOfWords({word: float(weight) for word, weight in zip(words, weight_F, strict=True)})


def fit_bradley_terry(difference_PF: Floats, *, l2: float, start_F: Floats | None = None) -> Floats:
    """Weights [F] of the regularised logistic model "the first of each pair wins", by Newton's method with halved steps.

    The loss is strictly convex: `start_F`, zeros unless given, decides how soon the weights are found and not which; neither does the
    curvature, whose products are float32, the greater part of the work.
    """
    single_PF = difference_PF.astype(np.float32)
    weight_F = np.zeros(difference_PF.shape[1]) if start_F is None else start_F
    loss = _loss(weight_F, difference_PF, l2)
    for _ in range(_NEWTON_STEPS):
        lose_P = 1 / (1 + np.exp(difference_PF @ weight_F))
        gradient_F = l2 * weight_F - difference_PF.T @ lose_P
        weighted_PF = single_PF * (lose_P * (1 - lose_P)).astype(np.float32)[:, None]
        curvature_FF = (weighted_PF.T @ single_PF).astype(np.float64) + l2 * np.eye(len(weight_F))
        step_F = np.linalg.solve(curvature_FF, gradient_F)
        scale = 1.0
        while (new_loss := _loss(weight_F - scale * step_F, difference_PF, l2)) > loss and scale > _SMALLEST_DECREASE:
            scale /= 2
        decrease = loss - new_loss
        if decrease < 0:
            break
        weight_F, loss = weight_F - scale * step_F, new_loss
        if decrease < _SMALLEST_DECREASE:
            break
    return weight_F


def pairwise_accuracy(baseline: Baseline, pairs: Sequence[TextPair], *, seed: int = 0) -> Interval:
    """Share of pairs in which the preferred answer scores higher, with its interval by prompt."""
    return bootstrap_mean(baseline_hits(baseline, pairs), [pair.prompt_key for pair in pairs], seed=seed)


def baseline_hits(baseline: Baseline, pairs: Sequence[TextPair]) -> Floats:
    """`statistics.pair_hits` of the baseline's scores [P]: what paired differences are made of."""
    return pair_hits([baseline.score(pair.better) - baseline.score(pair.worse) for pair in pairs])


def _loss(weight_F: Floats, difference_PF: Floats, l2: float) -> float:
    return float(np.logaddexp(0, -difference_PF @ weight_F).sum() + l2 / 2 * weight_F @ weight_F)


def _word_counts(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.lower()))


def _require_some(pairs: Sequence[TextPair]) -> None:
    if not pairs:
        raise DataError("no pairs to learn from", expected="rankings with at least one untied pair", remedy="check the split and its ties")
