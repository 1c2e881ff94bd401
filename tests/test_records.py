"""Records: JSON there and back, refusals by name, and the pairs of a ranking against a brute force."""

import json
from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.errors import DataError
from instructloop.records import FLAGS, AnswerSet, Completion, Demonstration, Document, Prompt, Provenance, Ranking, Rating, Record

TEXT = st.text(max_size=20)
MAYBE = st.none() | TEXT
PROVENANCE = st.builds(Provenance, who=MAYBE, when=MAYBE, model=MAYBE, snapshot=MAYBE, origin=MAYBE)
PROMPT = st.builds(
    Prompt,
    id=TEXT,
    text=TEXT,
    user_id=TEXT,
    source=st.sampled_from(["playground", "labeler", "import"]),
    kind=st.sampled_from([None, "plain", "few_shot", "user_based"]),
    consent=MAYBE,
    use_case=MAYBE,
    provenance=PROVENANCE,
)
NUMBER = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
COMPLETION = st.builds(
    Completion,
    id=TEXT,
    prompt_id=TEXT,
    text=TEXT,
    model_id=MAYBE,
    token_ids=st.none() | st.lists(st.integers(0, 2**31), max_size=5).map(tuple),
    sampling=st.none() | st.dictionaries(TEXT, NUMBER | TEXT, max_size=3),
    finish_reason=st.sampled_from([None, "stop", "length"]),
)


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    ranks = draw(st.lists(st.integers(1, 4), min_size=2, max_size=9))
    return ranking_of(ranks, draw(PROMPT))


def ranking_of(ranks: list[int], prompt: Prompt | None = None) -> Ranking:
    prompt = prompt or Prompt(id="p", text="?", user_id="u")
    completions = tuple(Completion(id=f"c{place}", prompt_id=prompt.id, text=f"answer {place}") for place in range(len(ranks)))
    groups = tuple(tuple(f"c{place}" for place, other in enumerate(ranks) if other == rank) for rank in sorted(set(ranks)))
    return Ranking(prompt=prompt, completions=completions, groups=groups, labeler_id="l")


RECORD = st.one_of(
    PROMPT,
    COMPLETION,
    rankings(),
    rankings().map(lambda ranking: AnswerSet(prompt=ranking.prompt, completions=ranking.completions)),
    st.builds(Demonstration, prompt=PROMPT, text=TEXT, labeler_id=TEXT),
    st.builds(
        Rating, completion=COMPLETION, likert=st.integers(1, 7), labeler_id=TEXT, flags=st.lists(st.sampled_from(FLAGS), max_size=3).map(tuple)
    ),
    rankings().map(lambda ranking: AnswerSet(prompt=ranking.prompt, completions=ranking.completions)),
    st.builds(Document, id=TEXT, text=TEXT, source=TEXT),
)


@given(RECORD)
def test_json_there_and_back(record: Record) -> None:
    assert type(record).from_json(json.loads(json.dumps(record.to_json()))) == record


@given(st.lists(st.integers(1, 5), min_size=2, max_size=9))
def test_pairs_are_all_untied_ones_better_first(ranks: list[int]) -> None:
    pairs = ranking_of(ranks).pairs
    brute = {(a, b) for a, b in permutations(range(len(ranks)), 2) if ranks[a] < ranks[b]}
    assert len(pairs) == len(brute)
    assert set(pairs) == brute


@given(st.lists(st.integers(1, 5), min_size=2, max_size=9))
def test_ranks_keep_every_comparison(ranks: list[int]) -> None:
    came = ranking_of(ranks).ranks
    assert all(
        (ranks[a] < ranks[b]) == (came[a] < came[b]) and (ranks[a] == ranks[b]) == (came[a] == came[b]) for a, b in combinations(range(len(ranks)), 2)
    )
    assert min(came) == 1


def test_the_papers_example_has_five_pairs() -> None:
    """Figure 2 of the paper: D > C > A = B gives 6 comparisons less one tie."""
    ranking = ranking_of([3, 3, 2, 1])
    assert ranking.groups == (("c3",), ("c2",), ("c0", "c1"))
    assert set(ranking.pairs) == {(3, 0), (3, 1), (3, 2), (2, 0), (2, 1)}


@pytest.mark.parametrize(
    ("ids", "named"), [(["a"], "1 answers"), ([str(n) for n in range(10)], "10 answers"), (["a", "b", "a"], "every answer id once")]
)
def test_an_answer_set_and_a_ranking_hold_two_to_nine_different_answers(ids: list[str], named: str) -> None:
    prompt = Prompt(id="p", text="?", user_id="u")
    completions = tuple(Completion(id=id_, prompt_id="p", text="an answer") for id_ in ids)
    with pytest.raises(DataError, match=named):
        AnswerSet(prompt=prompt, completions=completions)
    with pytest.raises(DataError, match=named):
        Ranking(prompt=prompt, completions=completions, groups=(tuple(dict.fromkeys(ids)),), labeler_id="l")


@pytest.mark.parametrize("ids", ["a", "abcdefghij", "aa"], ids=["one", "ten", "twice"])
def test_answer_sets_hold_two_to_nine_different_answers(ids: str) -> None:
    completions = tuple(Completion(id=id_, prompt_id="p", text="!") for id_ in ids)
    with pytest.raises(DataError, match="the answer set of prompt 'p' holds"):
        AnswerSet(prompt=Prompt(id="p", text="?", user_id="u"), completions=completions)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"text": 5}, "Prompt.text"),
        ({"colour": "red"}, "'colour'"),
        ({"source": "web"}, "Prompt.source"),
        ({"schema": 99}, "schema 99"),
        ({"provenance": {"who": 1}}, "Prompt.provenance.who"),
        ({"provenance": []}, "Prompt.provenance"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], named: str) -> None:
    row = Prompt(id="p", text="?", user_id="u").to_json() | change
    with pytest.raises(DataError, match=named):
        Prompt.from_json(row)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(DataError, match="lacks the key 'user_id'"):
        Prompt.from_json({"id": "p", "text": "?"})


JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(st.sampled_from(["id", "text", "user_id", "prompt", "completions", "groups", "labeler_id", "provenance"]), JSON))
def test_any_json_object_is_a_record_or_refused(row: dict[str, Any]) -> None:
    for record in (Prompt, Demonstration, Ranking, Document):
        try:
            made = record.from_json(row)
        except DataError:
            continue
        assert made.to_json().keys() >= row.keys()
