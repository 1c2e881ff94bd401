"""The judge: full marks for what is right, the right deduction for each flaw, and little for tricks."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructloop.errors import DataError
from instructloop.lab.chance import stream
from instructloop.lab.demonstrators import FLAWS, answer_as, flawed
from instructloop.lab.grammar import parse
from instructloop.lab.judge import WEIGHTS, Verdict, judge, utility
from instructloop.lab.prompts import training_prompts
from lab.draws import everything

STORY = "Write a story about a dog who finds a ball. Use two sentences."
FACT = "What does the cow eat?"
TEXT = "The weather was cold. Max found a red kite in the park on Monday. Later he ate some soup."
READ = f"Read the text and answer the question.\nText: {TEXT}\nQuestion: Where did Max find the kite?"
SUMMARY = f"Summarize the text in one sentence.\n{TEXT}"
PROMPTS = training_prompts(8, 200)

EXPECTED: dict[str, Callable[[Verdict], bool]] = {
    "further_question": lambda verdict: verdict.clean == 0 and "asks a further question" in verdict.reasons,
    "further_instruction": lambda verdict: verdict.clean == 0,
    "chatter": lambda verdict: verdict.clean == 0 and "chats about something else" in verdict.reasons,
    "rude_remark": lambda verdict: verdict.polite == 0 and verdict.clean == 0,
    "untrue_fact": lambda verdict: verdict.clean == 0 and any(reason.startswith("adds what is not true") for reason in verdict.reasons),
    "ignored_clause": lambda verdict: len(verdict.failed) >= 1,
    "refusal": lambda verdict: verdict.follows == 0,
    "unfinished": lambda verdict: verdict.gold < 0.95,
    "part_missing": lambda verdict: verdict.follows < 1 or len(verdict.failed) >= 1,
    "other_question": lambda verdict: verdict.gold < 0.95,
    "wrong_detail": lambda verdict: verdict.gold < 0.96,
}
"""Flaw -> what the verdict on an otherwise good answer must show."""


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000))
def test_good_answers_get_full_marks(seed: int) -> None:
    for _, prompt, answer in everything(seed):
        verdict = judge(prompt, answer)
        assert (verdict.gold, verdict.reasons) == (pytest.approx(1), ()), (prompt, answer)


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_shows(flaw: str) -> None:
    made = 0
    for number, (_, prompt, answer) in enumerate(everything(1)):
        text = flawed(flaw, prompt, answer, stream(0, flaw, number))
        if text is not None:
            made += 1
            assert EXPECTED[flaw](judge(prompt, text)), (prompt, text, judge(prompt, text))
            assert judge(prompt, text).reasons
    assert made > 300


@pytest.mark.parametrize(
    ("prompt", "answer", "most"),
    [
        *((prompt, answer, 0.1) for prompt in (STORY, FACT, READ, SUMMARY) for answer in ("", "ball ball ball", "I do not know.", "the of a and")),
        (STORY, STORY, 0.1),
        (FACT, FACT, 0.1),
        (READ, READ, 0.35),
        (SUMMARY, SUMMARY, 0.3),
        (STORY, "The cow eats grass.", 0.1),
        (FACT, "The horse eats grass.", 0.1),
        (FACT, "The cow eats grass. The cow eats fish. The cow eats meat. The cow eats corn.", 0.5),
        (FACT, "Grass. Fish. Meat. Corn. Leaves. Seeds.", 0.5),
        ("Is the carrot a fruit or a vegetable?", "It is a vegetable. It is a fruit.", 0.5),
        ("Name two colours.", "Red, blue, green, yellow, white, black, brown, grey, purple and orange.", 0.35),
        ("Name two colours.", "Red and red.", 0.5),
        (STORY, "Once there was a cat. It found a ball.", 0.5),
        ("Make this sentence polite: Give me the hat.", "Give me the hat.", 0.1),
        ("Make this sentence about Anna: Max lost his hat.", "Max lost his hat.", 0.1),
    ],
)
def test_tricks_score_low(prompt: str, answer: str, most: float) -> None:
    assert judge(prompt, answer).gold <= most, judge(prompt, answer)


@pytest.mark.parametrize(
    ("prompt", "answer", "reason"),
    [
        (FACT, "The cow eats meat.", "says 'meat'; the truth is 'grass'"),
        ("Name three fruits.", "Apple and pear.", "names 2 things instead of 3"),
        (STORY, "One day a dog found a kite. It was very happy.", "tells of a kite instead of a ball"),
        (READ, "Max found the kite in the barn.", "says 'barn'; the text says 'park'"),
        (SUMMARY, "The weather was cold.", "leaves out what happened"),
        (FACT, "", "says nothing"),
        (FACT, "The cow eats", "stops in the middle of a sentence"),
        (FACT, "The cow eats grass. You are foolish.", "is rude"),
    ],
)
def test_reasons_are_given_in_words(prompt: str, answer: str, reason: str) -> None:
    assert reason in judge(prompt, answer).reasons


def test_the_utility_is_a_weighted_mean_of_what_applies() -> None:
    verdict = judge(FACT, "The cow eats meat. What is a pear?")
    assert (verdict.follows, verdict.constraints, verdict.true, verdict.clean, verdict.polite) == (1, None, 0, 0, 1)
    assert verdict.gold == pytest.approx((2.5 + 0.6) / (2.5 + 2 + 1.5 + 0.6))
    assert utility({"follows": 0.5, "constraints": 1, "clean": 1, "polite": 1}, WEIGHTS) == pytest.approx((1.25 + 1 + 0.75 + 0.6) / 6.6)


def test_unknown_prompts_are_refused() -> None:
    with pytest.raises(DataError, match="none of the small world's"):
        judge("What is the meaning of life?", "Soup.")


def test_it_is_fast() -> None:
    prompts = training_prompts(0, 500)
    answers = [
        (prompt.text, answer_as("simulated-demonstrator-01", prompt.text, stream(number, prompt.id))) for prompt in prompts for number in range(4)
    ]
    judge.cache_clear()
    parse.cache_clear()
    began = time.process_time()
    for prompt, answer in answers:
        judge(prompt, answer)
    assert len(answers) / (time.process_time() - began) > 5_000


PIECES = st.one_of(st.sampled_from(["The cow", "a dog", "found", "Max", "and", "red", "is", "Write", "Dear Max,"]), st.text(max_size=4))


@given(st.integers(0, 199), st.lists(st.tuples(PIECES, st.sampled_from([" ", ". ", "?", "\n", ", ", "!", '"', ""])), max_size=12))
def test_any_text_gets_a_verdict(place: int, pieces: list[tuple[str, str]]) -> None:
    verdict = judge(PROMPTS[place].text, "".join(piece + mark for piece, mark in pieces))
    assert all(0 <= value <= 1 for value in verdict.values.values())
    assert 0 <= verdict.gold <= 1
    assert verdict.reasons or verdict.gold == pytest.approx(1)
