"""The reward model on trial: pairs of SFT's answers to test prompts, ordered by two simulated labelers who ranked nothing for training.

A pair counts where neither of the two ties it. On the same pairs: the reward model, the second labeler, length alone and a bag of
words, each against the first labeler; every interval is from drawing prompts again.

Shapes: P pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from instructloop.errors import DataError
from instructloop.evals.baselines import Baseline, choose_bag_of_words, fit_length_only, fit_scale, text_pairs
from instructloop.evals.report.inputs import Calibration, RewardInputs
from instructloop.evals.results import RewardModelResult
from instructloop.evals.reward_report import calibration
from instructloop.evals.statistics import Interval, bootstrap_mean, pair_hits
from instructloop.reading import build
from instructloop.records import AnswerSet, Ranking
from instructloop.store.snapshots import read_split

LIKES = Callable[[str, str], float]
"""Prompt and answer -> how much one labeler likes the answer."""


@dataclass(frozen=True)
class Pair:
    """Two answers of one set, of which the first labeler preferred the first."""

    number: int
    """Of the answer set."""
    better: int
    worse: int
    agreed: bool
    """The second labeler preferred it too."""


@dataclass(frozen=True)
class RewardTrial:
    """What came of it, for `results.json` and for the page."""

    result: RewardModelResult
    page: RewardInputs


def try_reward(sets: Sequence[AnswerSet], scores: Sequence[Sequence[float]], labelers: tuple[LIKES, LIKES], rankings: Path) -> RewardTrial:
    """`scores` are the reward model's, one for each answer of each set; the rivals learn from the snapshot of training rankings."""
    pairs = strict_pairs(sets, *labelers)
    if not pairs:
        raise DataError(f"{len(sets)} answer sets without a pair that both labelers are strict on", expected="some", remedy="ask more prompts")
    prompts = [sets[pair.number].prompt.id for pair in pairs]
    train, valid = (text_pairs(read_split(rankings, split, Ranking)) for split in ("train", "valid"))
    margin_P = _margins(pairs, scores)
    words_P = _margins(pairs, _texts_scored(choose_bag_of_words(train, valid), sets))
    by_length = fit_length_only(train)
    length_P = _margins(pairs, _texts_scored(by_length, sets))
    own, length, words = (bootstrap_mean(pair_hits(margins), prompts) for margins in (margin_P, length_P, words_P))
    agreement = bootstrap_mean([float(pair.agreed) for pair in pairs], prompts)
    return RewardTrial(_result(own, len(pairs), agreement=agreement, length=length, words=words), RewardInputs(
        length_only=length, bag_of_words=words, labeler_agreement=agreement,
        calibration={
            "reward_model": _calibration(margin_P), "bag_of_words": _calibration(words_P),
            "length_only": _calibration(fit_scale(by_length, train) * np.array(length_P)),
        },
    ))  # fmt: skip


def strict_pairs(sets: Sequence[AnswerSet], first: LIKES, second: LIKES) -> list[Pair]:
    """Every pair of answers that neither labeler ties."""
    pairs: list[Pair] = []
    for number, one in enumerate(sets):
        liked = [(first(one.prompt.text, completion.text), second(one.prompt.text, completion.text)) for completion in one.completions]
        for a, b in combinations(range(len(liked)), 2):
            if liked[a][0] != liked[b][0] and liked[a][1] != liked[b][1]:
                better, worse = (a, b) if liked[a][0] > liked[b][0] else (b, a)
                pairs.append(Pair(number, better, worse, agreed=liked[better][1] > liked[worse][1]))
    return pairs


def _margins(pairs: Sequence[Pair], scores: Sequence[Sequence[float]]) -> list[float]:
    """Score of the answer that the first labeler preferred, less that of the other [P]."""
    return [scores[pair.number][pair.better] - scores[pair.number][pair.worse] for pair in pairs]


def _texts_scored(baseline: Baseline, sets: Sequence[AnswerSet]) -> list[list[float]]:
    return [[baseline.score(completion.text) for completion in one.completions] for one in sets]


def _calibration(margin_P: ArrayLike) -> Calibration:
    return build(Calibration, calibration(margin_P), "calibration")


def _result(own: Interval, pairs: int, *, agreement: Interval, length: Interval, words: Interval) -> RewardModelResult:
    return RewardModelResult(
        accuracy=own.mean, low=own.low, high=own.high, n=pairs,
        labeler_agreement=agreement.mean, length_only=length.mean, bag_of_words=words.mean,
    )  # fmt: skip
