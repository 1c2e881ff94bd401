"""What an answer to each kind of task must look like: every complete one is taken, every other refused with one error."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.errors import DataError
from instructloop.records import FLAGS, Completion, Prompt, Ranking
from instructloop.store.database.kinds import MARKS, check_body

ANSWERS = st.integers(2, 9).map(lambda number: [f"a{i}" for i in range(number)])


@st.composite
def rankings(draw: st.DrawFn) -> tuple[list[str], dict[str, Any]]:
    """Answers and a complete judgement of them, with any ties, any order, any flags."""
    answers = draw(ANSWERS)
    ranks = draw(st.lists(st.integers(0, len(answers)), min_size=len(answers), max_size=len(answers)))
    shuffled = draw(st.permutations(answers))
    groups = [[answer for answer, rank in zip(shuffled, ranks, strict=True) if rank == place] for place in sorted(set(ranks))]
    ratings = {
        answer: {
            "likert": draw(st.integers(1, 7)),
            "flags": draw(st.lists(st.sampled_from(FLAGS), unique=True)),
            "note": draw(st.sampled_from(["", "ü"])),
        }
        for answer in draw(st.permutations(answers))
    }
    return answers, {"ratings": ratings, "groups": groups, "better": draw(st.sampled_from([None, "", "A better one."]))}


def record(answers: list[str], groups: list[list[str]]) -> Ranking:
    completions = tuple(Completion(id=answer, prompt_id="p", text=answer) for answer in answers)
    prompt = Prompt(id="p", text="t", user_id="u")
    return Ranking(prompt=prompt, completions=completions, groups=tuple(map(tuple, groups)), labeler_id="l")


@given(rankings())
def test_every_complete_ranking_is_taken_and_says_the_same_afterwards(given_: tuple[list[str], dict[str, Any]]) -> None:
    answers, body = given_
    checked = check_body("ranking", body, answers=answers)
    assert record(answers, checked["groups"]).ranks == record(answers, body["groups"]).ranks
    assert list(checked["ratings"]) == answers
    for answer, rating in checked["ratings"].items():
        assert rating["likert"] == body["ratings"][answer]["likert"]
        assert set(rating["flags"]) == set(body["ratings"][answer]["flags"])
    assert check_body("ranking", checked, answers=answers) == checked


@given(rankings(), st.data())
def test_every_ranking_that_is_not_of_each_answer_once_is_refused(given_: tuple[list[str], dict[str, Any]], data: st.DataObject) -> None:
    answers, body = given_
    groups = [list(group) for group in body["groups"]]
    place = data.draw(st.integers(0, len(groups) - 1))
    match data.draw(st.sampled_from(["drop", "repeat", "foreign", "empty", "number"])):
        case "drop":
            groups[place].pop()
        case "repeat":
            groups[place].append(data.draw(st.sampled_from(answers)))
        case "foreign":
            groups[place][0] = "another"
        case "empty":
            groups.insert(place, [])
        case _:
            groups[place][0] = 0  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError):
        check_body("ranking", {**body, "groups": groups}, answers=answers)


KEYS = st.sampled_from(["ratings", "groups", "text", "use_case", "likert", "a0", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["ratings", "groups", "text", "use_case", "likert", "a0", "x"]), inner)
    ),
    max_leaves=12,
)


@given(st.sampled_from(["write_prompt", "demonstration", "ranking", "evaluation", "prompt_metadata"]), JSON)
def test_whatever_json_comes_is_taken_or_refused_with_one_error(kind: Any, body: Any) -> None:
    for prompt_kind in ("plain", "few_shot"):
        try:
            checked = check_body(kind, body, answers=["a0", "a1"], prompt_kind=prompt_kind)
        except DataError:
            continue
        assert check_body(kind, checked, answers=["a0", "a1"], prompt_kind=prompt_kind) == checked


RATINGS = {answer: {"likert": 4, "flags": [], "note": ""} for answer in ("a0", "a1")}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("ranking", {"ratings": {"a0": RATINGS["a0"]}, "groups": [["a0", "a1"]], "better": None}),
        ("ranking", {"ratings": RATINGS | {"a1": {"likert": 8}}, "groups": [["a0", "a1"]], "better": None}),
        ("ranking", {"ratings": RATINGS | {"a1": {"likert": True}}, "groups": [["a0", "a1"]], "better": None}),
        ("ranking", {"ratings": RATINGS | {"a1": {"likert": 4, "flags": ["rude"]}}, "groups": [["a0", "a1"]], "better": None}),
        ("ranking", {"ratings": RATINGS, "groups": [["a0", "a1"]], "better": None, "extra": 1}),
        ("evaluation", {"ratings": RATINGS, "preferred": "a2"}),
        ("demonstration", {"text": "  "}),
        ("prompt_metadata", {"use_case": None, "marks": []}),
        ("prompt_metadata", {"use_case": "chat", "marks": ["rude"]}),
        ("write_prompt", {"prompt": "x", "use_case": "poetry"}),
    ],
)
def test_what_is_incomplete_or_unknown_is_refused(kind: Any, body: Any) -> None:
    with pytest.raises(DataError):
        check_body(kind, body, answers=["a0", "a1"])


def test_a_few_shot_prompt_can_be_told_apart_into_its_parts() -> None:
    shots = [{"query": " a ", "response": "b"}, {"query": "c", "response": "d"}]
    checked = check_body("write_prompt", {"instruction": "Do it.", "shots": shots}, prompt_kind="few_shot")
    assert checked["shots"][0] == {"query": "a", "response": "b"}
    for broken in ([shots[0]], [shots[0], {"query": "x\nResponse: y", "response": "z"}]):
        with pytest.raises(DataError):
            check_body("write_prompt", {"instruction": "Do it.", "shots": broken}, prompt_kind="few_shot")


def test_the_marks_are_those_of_table_7() -> None:
    assert len(MARKS) == 11
