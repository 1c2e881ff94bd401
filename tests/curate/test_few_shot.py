"""Few-shot prompts become one demonstration for each example: paper A.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.prompts import prompt
from instructloop.curate.few_shot import FewShot, expand, parse_few_shot, write_few_shot
from instructloop.errors import DataError

TWEETS = """Say whether the tweet is happy.

Query: I passed!
Response: happy

Query: It rained.
Again.
Response: unhappy

Query: Cake!
Response: happy"""


def test_each_example_is_asked_once_with_all_others_before_it() -> None:
    first, second, third = expand(prompt(TWEETS, id="t", user="lena", kind="few_shot"))
    assert (first.text, second.text, third.text) == ("happy", "unhappy", "happy")
    assert [example.prompt.id for example in (first, second, third)] == ["t/shot-1", "t/shot-2", "t/shot-3"]
    assert {example.labeler_id for example in (first, second, third)} == {first.prompt.user_id} == {"lena"}
    assert second.prompt.text == (
        "Say whether the tweet is happy.\n\nQuery: I passed!\nResponse: happy\n\n"
        "Query: Cake!\nResponse: happy\n\nQuery: It rained.\nAgain.\nResponse:"
    )


def test_one_example_is_asked_without_others() -> None:
    (only,) = expand(prompt("Add.\n\nInput: 1 + 1\nOutput: 2", kind="few_shot"))
    assert (only.prompt.text, only.text) == ("Add.\n\nInput: 1 + 1\nOutput:", "2")


@pytest.mark.parametrize(
    "text",
    ["Just a question", "Add.\n\nQ: 1 + 1\nA: 2\n\nQ: 2 + 2\nA:", "Add.\n\nQuery: 1", "Query: a\nResponse: b", "", "I.\n\nQuery: \nResponse: b"],
)
def test_other_forms_are_let_be(text: str) -> None:
    assert parse_few_shot(text) is None
    assert expand(prompt(text or "x", kind="few_shot")) == []


part = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp")) | st.sampled_from(" \n:QA"), min_size=1, max_size=30)


@given(part, st.lists(st.tuples(part, part), min_size=1, max_size=5))
def test_what_is_written_is_read_back_or_refused(instruction: str, examples: list[tuple[str, str]]) -> None:
    try:
        text = write_few_shot(instruction, examples)
    except DataError:
        return
    assert parse_few_shot(text) == FewShot(instruction, tuple(examples))
    expanded = expand(prompt(text, kind="few_shot"))
    assert [example.text for example in expanded] == [response for _, response in examples]
    for left_out, example in enumerate(expanded):
        others = [pair for number, pair in enumerate(examples) if number != left_out]
        asked = f"{example.prompt.text} {example.text}"
        assert parse_few_shot(asked) == FewShot(instruction, (*others, examples[left_out]))


@pytest.mark.parametrize("query", ["a\n\nQuery: b", "a\nResponse: b", " a", ""])
def test_parts_that_could_not_be_told_apart_are_refused(query: str) -> None:
    with pytest.raises(DataError, match="cannot be told apart"):
        write_few_shot("Add.", [(query, "2")])
