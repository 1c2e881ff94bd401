"""Rankings: one row per answer, one index pair per comparison, and lengths never change a rank."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instructloop.config import Text
from instructloop.data.comparisons import RankedPrompt, collate_rankings, load_rankings
from instructloop.records import Completion, Prompt, Provenance, Ranking
from instructloop.text.tokenizer import train_tokenizer

TOKENIZER = train_tokenizer(["a"], vocab=258)
TEXT = Text(separator="\n", context=16, max_prompt=8, max_response=8)
END = TOKENIZER.end_id


def ranking(answers: list[str], ranks: list[int], *, prompt: str = "p") -> Ranking:
    asked = Prompt(id=prompt, text=prompt, user_id="u", provenance=Provenance(origin="here"))
    completions = tuple(Completion(id=f"c{place}", prompt_id=prompt, text=answer) for place, answer in enumerate(answers))
    groups = tuple(tuple(f"c{place}" for place, other in enumerate(ranks) if other == rank) for rank in sorted(set(ranks)))
    return Ranking(prompt=asked, completions=completions, groups=groups, labeler_id="l")


def test_rows_are_prompt_and_answer() -> None:
    (item,), dropped = load_rankings([ranking(["x", "y"], [2, 1])], TOKENIZER, TEXT)
    assert item.answers == tuple((*TOKENIZER.encode("p\n"), *TOKENIZER.encode(answer), END) for answer in "xy")
    assert (item.pairs, item.prompt_length, item.k) == (((1, 0),), 2, 2)
    assert (item.prompt_key, item.source, item.labeler) == ("p", "here", "l")
    assert dropped.kept == 1


def test_what_does_not_fit_is_dropped_and_counted() -> None:
    long = "x" * 8
    records = [
        ranking(["a", long, "b"], [1, 2, 3]),
        ranking(["a", long], [1, 2]),
        ranking(["a", "b"], [1, 2], prompt="p" * 8),
        ranking(["a", "b"], [1, 1]),
        ranking([long, "a", "b"], [1, 2, 2]),
    ]
    items, dropped = load_rankings(records, TOKENIZER, TEXT)
    assert [(item.k, item.pairs) for item in items] == [(2, ((0, 1),))]
    assert (dropped.kept, dropped.long_answers, dropped.short_rankings, dropped.long_prompts, dropped.without_pairs) == (1, 3, 1, 1, 2)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 12)), min_size=2, max_size=9))
def test_the_answers_left_keep_their_order(drawn: list[tuple[int, int]]) -> None:
    ranks, lengths = [rank for rank, _ in drawn], [length for _, length in drawn]
    items, _ = load_rankings([ranking([chr(97 + place) * length for place, length in enumerate(lengths)], ranks)], TOKENIZER, TEXT)
    fit = [place for place, length in enumerate(lengths) if length < TEXT.max_response]
    expected = {(a, b) for a in fit for b in fit if ranks[a] < ranks[b]}
    if not items:
        assert not expected
        return
    place_of = [ord(TOKENIZER.decode(ids)[-1]) - 97 for ids in items[0].answers]
    assert {(place_of[winner], place_of[loser]) for winner, loser in items[0].pairs} == expected


def test_sampled_ids_are_used_as_they_are() -> None:
    record = ranking(["x", "y"], [1, 2])
    sampled = Completion(id="c0", prompt_id="p", text=TOKENIZER.decode((70, 71, 72)), token_ids=(70, 71, 72), finish_reason="length")
    cut = Completion(id="c1", prompt_id="p", text="y", finish_reason="length")
    record = Ranking(prompt=record.prompt, completions=(sampled, cut), groups=record.groups, labeler_id="l")
    (item,), _ = load_rankings([record], TOKENIZER, TEXT)
    assert [ids[2:] for ids in item.answers] == [(70, 71, 72), tuple(TOKENIZER.encode("y"))]


def test_a_batch_points_at_its_answers() -> None:
    items, _ = load_rankings([ranking(["x", "yy", "z"], [1, 1, 2]), ranking(["u", "v"], [2, 1], prompt="qq")], TOKENIZER, TEXT)
    batch = collate_rankings(items, pad_id=TOKENIZER.pad_id)
    assert batch.row_N.tolist() == [0, 1, 2, 3, 4]
    assert batch.end_N.tolist() == [3, 4, 3, 4, 4]
    assert list(zip(batch.winner_P.tolist(), batch.loser_P.tolist(), batch.prompt_P.tolist(), strict=True)) == [(0, 2, 0), (1, 2, 0), (4, 3, 1)]
    assert batch.mask_4d is None


@given(st.lists(st.lists(st.text("abc", min_size=1, max_size=7), min_size=2, max_size=9), min_size=1, max_size=4), st.integers(0, 40))
def test_an_answer_sees_its_prompt_and_itself_as_if_it_stood_alone(prompts: list[list[str]], row_length: int) -> None:
    rankings = [ranking(answers, [*range(1, len(answers) + 1)], prompt="p" * (1 + place)) for place, answers in enumerate(prompts)]
    items, _ = load_rankings(rankings, TOKENIZER, TEXT)
    batch = collate_rankings(items, pad_id=TOKENIZER.pad_id, row_length=row_length)
    tokens = batch.tokens_BT.shape[1]
    mask_BTT = (
        torch.ones(tokens, tokens, dtype=torch.bool).tril().expand(len(batch.tokens_BT), -1, -1) if batch.mask_4d is None else batch.mask_4d[:, 0]
    )
    for row, end, answer in zip(batch.row_N, batch.end_N, (answer for item in items for answer in item.answers), strict=True):
        seen = mask_BTT[row, end]
        assert tuple(batch.tokens_BT[row, seen].tolist()) == answer
        assert batch.position_BT[row, seen].tolist() == [*range(len(answer))]
    assert tokens <= max(row_length, *(len(answer) for item in items for answer in item.answers))


def test_a_row_holds_as_many_answers_as_fit() -> None:
    items, _ = load_rankings([ranking(["xx", "yy", "zz"], [1, 2, 3])], TOKENIZER, TEXT)
    prompt, own = items[0].prompt_length, len(items[0].answers[0]) - items[0].prompt_length
    rows = {
        row_length: collate_rankings(items, pad_id=1, row_length=row_length).row_N.tolist() for row_length in (0, prompt + 2 * own, prompt + 3 * own)
    }
    assert list(rows.values()) == [[0, 1, 2], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("prompt", "own", "rows"),
    [(200, 60, [0] * 9), (40, 250, [*range(9)]), (100, 100, [0, 0, 0, 0, 0, 0, 1, 1, 1]), (10, 25, [0] * 9), (10, 30, [0] * 8 + [1])],
)
def test_a_long_row_is_filled_only_where_the_prompt_is_worth_it(prompt: int, own: int, rows: list[int]) -> None:
    """By hand: 2 · own · (answers before) < prompt · (1024 + prompt), or 256 tokens in all."""
    answers = tuple((2,) * prompt + (3 + number,) * own for number in range(9))
    item = RankedPrompt(answers, ((0, 1),), prompt, "p", "test", "l")
    assert collate_rankings([item], pad_id=1, row_length=2048).row_N.tolist() == rows


def test_a_batch_without_pairs_is_empty_of_them() -> None:
    batch = collate_rankings([RankedPrompt(((5, 6), (5, 7)), (), 1, "p", "s", "l")], pad_id=1)
    assert batch.winner_P.shape == batch.loser_P.shape == batch.prompt_P.shape == (0,)


def test_single_pairs_are_rankings_of_two() -> None:
    (item,), _ = load_rankings([ranking(["x", "y", "z"], [2, 1, 2])], TOKENIZER, TEXT)
    assert [(single.answers, single.pairs) for single in item.single_pairs()] == [
        ((item.answers[1], item.answers[0]), ((0, 1),)),
        ((item.answers[1], item.answers[2]), ((0, 1),)),
    ]
