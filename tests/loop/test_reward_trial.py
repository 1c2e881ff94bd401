"""The trial of a reward model on pairs made by hand: which pairs count, and what each contender gets of them."""

from pathlib import Path

import pytest

from instructloop.errors import DataError
from instructloop.loop.reward_trial import Pair, strict_pairs, try_reward
from instructloop.records import AnswerSet, Completion, Prompt, Ranking
from instructloop.store.snapshots import freeze

FIRST = {"long answer": 2, "short": 1, "mid one": 0, "other": 0}
SECOND = {"long answer": 1, "short": 2, "mid one": 0, "other": 1}


def answer_set(number: int) -> AnswerSet:
    prompt = Prompt(id=f"p{number}", text=f"what {number}?", user_id="u")
    texts = list(FIRST)
    return AnswerSet(prompt=prompt, completions=tuple(Completion(id=f"{number}/{text}", prompt_id=prompt.id, text=text) for text in texts))


def first(_: str, answer: str) -> float:
    return FIRST[answer]


def second(_: str, answer: str) -> float:
    return SECOND[answer]


def rankings(folder: Path) -> Path:
    """Long answers are better, and so is the word "long"."""
    rows = [
        Ranking(prompt=one.prompt, completions=one.completions[:2], groups=tuple((c.id,) for c in one.completions[:2]), labeler_id="l")
        for one in map(answer_set, range(10, 16))
    ]
    freeze(folder / "rankings", {"train": rows[:4], "valid": rows[4:]}, query="by hand", source_of=lambda _: "hand")
    return folder / "rankings"


def test_a_pair_counts_where_neither_labeler_ties_it() -> None:
    """Of six pairs, mid–other is tied by the first, long–other by the second."""
    assert strict_pairs([answer_set(0)], first, second) == [
        Pair(0, 0, 1, agreed=False), Pair(0, 0, 2, agreed=True), Pair(0, 1, 2, agreed=True), Pair(0, 1, 3, agreed=True),
    ]  # fmt: skip


def test_everyone_is_tried_on_the_same_pairs(tmp_path: Path) -> None:
    sets = [answer_set(0), answer_set(1)]
    trial = try_reward(sets, [[3.0, 2.0, 1.0, 2.0], [3.0, 2.0, 1.0, 0.0]], (first, second), rankings(tmp_path))
    result = trial.result
    assert result.n == 8
    assert result.accuracy == pytest.approx((3.5 + 4) / 8)  # short and other are level in the first set
    assert (result.low, result.high) == (pytest.approx(3.5 / 4), 1.0)  # the interval is by prompt, and there are two
    assert result.labeler_agreement == 0.75
    assert result.length_only == pytest.approx((2 * (1 + 1 + 0 + 0.5)) / 8)  # short and other are equally long
    assert result.bag_of_words == pytest.approx(2 * (1 + 1 + 0 + 0) / 8)  # short was always the worse answer
    assert trial.page.length_only.n == 2
    counts = {name: sum(row.pairs for row in calibration.bins) for name, calibration in trial.page.calibration.items()}
    assert counts == {"reward_model": 8, "bag_of_words": 8, "length_only": 8}


def test_labelers_who_tie_everything_leave_nothing_to_try(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without a pair"):
        try_reward([answer_set(0)], [[0.0] * 4], (first, lambda *_: 1.0), rankings(tmp_path))
