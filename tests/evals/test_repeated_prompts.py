"""Intervals draw prompts again, and rows that repeat a prompt under other ids are one prompt."""

import ast
from dataclasses import asdict
from itertools import cycle, islice

import numpy as np
import pytest

from house.sources import parse, python_files
from instructloop.config import Text
from instructloop.data.comparisons import RankedPrompt, load_rankings
from instructloop.evals.baselines import LengthOnly, pairwise_accuracy, text_pairs
from instructloop.evals.reward_report import reward_report
from instructloop.evals.statistics import bootstrap_mean
from instructloop.records import Completion, Prompt, Ranking
from instructloop.text.tokenizer import train_tokenizer

PROMPTS, REPEATS = 12, 8
HIT_OF_PROMPT = np.array(list(islice(cycle([1.0, 0.0, 0.0]), PROMPTS)))
"""A model that is right about all rankings of a prompt or about none."""
HITS = np.repeat(HIT_OF_PROMPT, REPEATS)
TEXTS = [f"question {number // REPEATS}?" for number in range(PROMPTS * REPEATS)]


def rankings(ids: list[str], texts: list[str]) -> list[Ranking]:
    """The longer answer is the better one where the model is to be right, which likes it long."""
    made: list[Ranking] = []
    for id_, text, hit in zip(ids, texts, HITS, strict=True):
        answers = tuple(Completion(id=f"{id_}/{name}", prompt_id=id_, text=name) for name in ("yes", "no"))
        groups = tuple((answer.id,) for answer in (answers if hit else answers[::-1]))
        made.append(Ranking(prompt=Prompt(id=id_, text=text, user_id="u"), completions=answers, groups=groups, labeler_id="l"))
    return made


REPEATED = rankings([f"row-{number}" for number in range(len(TEXTS))], TEXTS)


@pytest.fixture(scope="module")
def items() -> list[RankedPrompt]:
    loaded, _ = load_rankings(REPEATED, train_tokenizer(["a"], vocab=258), Text(context=64, max_prompt=32, max_response=32))
    return loaded


def test_the_report_counts_and_draws_texts_not_rows(items: list[RankedPrompt]) -> None:
    report = reward_report(items, [[1.0, 0.0]] * len(items))
    assert report["accuracy"] == asdict(bootstrap_mean(HITS, TEXTS))
    assert (report["prompts"], report["accuracy"]["n"], report["pairs"]) == (PROMPTS, PROMPTS, len(TEXTS))
    assert {part["n"] for part in report["accuracy_by_source"].values()} == {PROMPTS}


def test_the_interval_is_that_of_the_prompts_and_wider_than_that_of_the_rows(items: list[RankedPrompt]) -> None:
    accuracy = reward_report(items, [[1.0, 0.0]] * len(items))["accuracy"]
    grouped, ungrouped = bootstrap_mean(HIT_OF_PROMPT), bootstrap_mean(HITS)
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((grouped.low, grouped.high))
    assert accuracy["high"] - accuracy["low"] > 2 * (ungrouped.high - ungrouped.low)


def test_pairs_taken_apart_stay_with_their_prompt(items: list[RankedPrompt]) -> None:
    assert {single.prompt_key for item in items for single in item.single_pairs()} == set(TEXTS)


def test_baselines_draw_the_same_prompts() -> None:
    assert pairwise_accuracy(LengthOnly("longer"), text_pairs(REPEATED)) == bootstrap_mean(HITS, TEXTS)


def test_turns_of_one_conversation_are_one_prompt() -> None:
    threads = rankings([f"thread/{number % 3}/{number}" for number in range(len(TEXTS))], [f"turn {number}" for number in range(len(TEXTS))])
    assert pairwise_accuracy(LengthOnly("longer"), text_pairs(threads)).n == 3


def test_hits_are_computed_in_one_place() -> None:
    halved = [(path, node) for path in python_files("src") for node in ast.walk(parse(path)) if isinstance(node, ast.BinOp)]
    assert {path.name for path, node in halved if ast.unparse(node).startswith("(np.sign(")} == {"statistics.py"}
