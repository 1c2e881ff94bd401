"""The reward report on hand-worked rankings."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest

from instructloop.evals.reward_report import calibration, histogram, reward_report


@dataclass(frozen=True)
class Item:
    pairs: tuple[tuple[int, int], ...]
    k: int = 2
    source: str = "books"
    labeler: str = "ann"
    prompt_key: str = "p"


RANKINGS = [
    Item(pairs=((0, 1), (0, 2), (1, 2)), k=3, prompt_key="p1"),
    Item(pairs=((1, 0),), source="films", labeler="bob", prompt_key="p2"),
    Item(pairs=(), source="films", prompt_key="p3"),
]
SCORES = [[2.0, 0.0, 1.0], [3.0, 1.0], [0.0, 0.0]]


def test_accuracy_overall_and_by_group():
    report = reward_report(RANKINGS, SCORES)
    # Margins 2, 1, −1 and −2: two of four pairs right.
    assert report["accuracy"]["mean"] == 0.5
    assert (report["pairs"], report["prompts"]) == (4, 2)
    assert {k: (row["mean"], row["pairs"]) for k, row in report["accuracy_by_k"].items()} == {"2": (0, 1), "3": (pytest.approx(2 / 3), 3)}
    assert {name: row["mean"] for name, row in report["accuracy_by_source"].items()} == {"books": pytest.approx(2 / 3), "films": 0}
    assert {name: row["n"] for name, row in report["accuracy_by_labeler"].items()} == {"ann": 1, "bob": 1}


def test_log_loss_is_that_of_bradley_terry():
    report = reward_report(RANKINGS, SCORES)
    expected = sum(math.log(1 + math.exp(-margin)) for margin in (2, 1, -1, -2)) / 4
    assert report["log_loss"]["mean"] == pytest.approx(expected)


def test_calibration_by_hand():
    # σ(log 3) = ¾ four times, three of them right; σ(log 9) = 0.9 twice, one of them right.
    margins = [math.log(3)] * 3 + [-math.log(3)] + [math.log(9), -math.log(9)]
    result = calibration(margins, bins=5)
    assert [(row["predicted"], row["observed"], row["pairs"]) for row in result["bins"]] == [
        (pytest.approx(0.75), 0.75, 4),
        (pytest.approx(0.9), 0.5, 2),
    ]
    assert result["expected_error"] == pytest.approx(2 / 6 * 0.4)


def test_outcomes_drawn_from_the_scores_are_calibrated():
    random = np.random.default_rng(0)
    margin = random.normal(scale=2, size=40_000)
    won = np.where(random.random(margin.size) < 1 / (1 + np.exp(-margin)), margin, -margin)
    assert calibration(won)["expected_error"] < 0.02


def test_certainty_falls_into_the_last_bin():
    assert calibration([1e3, -1e3])["bins"] == [{"low": 0.95, "high": 1.0, "predicted": 1.0, "observed": 0.5, "pairs": 2}]


def test_demonstrations_have_a_histogram_and_the_report_is_json():
    report = json.loads(json.dumps(reward_report(RANKINGS, SCORES, [-1.0, 1.0])))
    assert (report["demonstrations"]["mean"], report["demonstrations"]["std"]) == (0, 1)
    assert sum(report["demonstrations"]["counts"]) == 2


def test_a_histogram_counts_every_value_once():
    result = histogram([0, 0, 1, 4], bins=4)
    assert result["counts"] == [2, 1, 0, 1]
    assert result["edges"] == [0, 1, 2, 3, 4]


def test_one_list_of_scores_per_ranking():
    with pytest.raises(ValueError, match="zip"):
        reward_report(RANKINGS, SCORES[:2])
