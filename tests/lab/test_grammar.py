"""The grammar: every prompt reads back to what it asks, and nothing else is read."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructloop.errors import DataError
from instructloop.lab.clauses import KINDS
from instructloop.lab.documents import documents
from instructloop.lab.grammar import parse, parse_with_template
from instructloop.lab.tasks import SHARES, TASKS
from instructloop.records import USE_CASES
from lab.draws import every_template, everything, surfaces


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000))
def test_every_template_reads_back(seed: int) -> None:
    for ask, prompt, _ in everything(seed):
        assert parse(prompt) == ask, prompt


def test_the_template_is_found() -> None:
    ask, template = parse_with_template("Name three fruits. Use small letters only.")
    assert (ask.task, ask.kinds, template.held_out) == ("listing", ("items", "small"), False)
    assert parse_with_template("Please think of two birds.")[1].held_out


@pytest.mark.parametrize(
    "text",
    ["", "Hello.", "Name three engines.", "Name three fruits. Be quick.", "Write a story about a dog who finds a ball", "Where does Zoe live?"],
)
def test_other_prompts_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="none of the small world's"):
        parse(text)


def test_there_are_templates_of_nine_use_cases() -> None:
    texts = {text for held_out in (False, True) for task in TASKS.values() for text in surfaces(task, held_out=held_out)}
    assert len(texts) >= 300
    use_cases = {task.use_case for task in TASKS.values()}
    assert len(use_cases) == 9
    assert use_cases <= set(USE_CASES)
    assert SHARES.keys() == TASKS.keys()


def test_no_held_out_phrasing_or_combination_is_a_training_one() -> None:
    for task in TASKS.values():
        assert not surfaces(task, held_out=True) & surfaces(task, held_out=False)
        assert set(task.held_out_combinations) & set(task.combinations) == {()}
    for kind in KINDS.values():
        assert not {frame.text for frame in kind.held_out} & {frame.text for frame in kind.wordings}


def test_held_out_phrasings_use_words_that_the_pretraining_text_has() -> None:
    known = {word for document, _ in zip(documents(0), range(12_000), strict=False) for word in re.findall(r"[A-Za-z]+", document.text)}
    phrasings = [template.frame.text for _, template in every_template()] + [frame.text for kind in KINDS.values() for frame in kind.held_out]
    assert {word for text in phrasings for word in re.findall(r"[A-Za-z]+", re.sub(r"\{[^}]*\}", "", text))} - known == set()
