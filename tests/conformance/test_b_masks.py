"""Laws B1 and B2 as far as rendering and batching go: one mask, True exactly on targets; padding is never the end."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instructloop.config import Text
from instructloop.data.comparisons import collate_rankings, load_rankings
from instructloop.data.demonstrations import collate, load_demonstrations
from instructloop.records import Completion, Demonstration, Prompt, Ranking
from instructloop.text.tokenizer import END, PAD, load_tokenizer, train_tokenizer
from shared_data import SHARED, needs_shared

TOKENIZER = train_tokenizer(["what is the answer to the question"] * 10, vocab=290)
TRICKY = st.lists(st.sampled_from([END, PAD, "\n\n", " ", "answer", "", "é"]), min_size=1, max_size=4).map("".join)


def demonstration(prompt: str, answer: str) -> Demonstration:
    return Demonstration(prompt=Prompt(id="p", text=prompt, user_id="u"), text=answer, labeler_id="l")


@given(st.lists(st.tuples(TRICKY, TRICKY), min_size=1, max_size=5), st.sampled_from([None, 200]))
def test_b1_targets_are_the_answers_and_one_end_each(texts: list[tuple[str, str]], pack_to: int | None) -> None:
    """Even if prompt and answer spell the end and padding tokens."""
    rendered, dropped = load_demonstrations([demonstration(*pair) for pair in texts], TOKENIZER, Text())
    assert dropped.kept == len(texts)
    batch = collate(rendered, pad_id=TOKENIZER.pad_id, pack_to=pack_to)
    targets = batch.tokens_BT[batch.loss_mask_BT].tolist()
    assert len(targets) == sum(len(TOKENIZER.encode(answer)) + 1 for _, answer in texts)
    assert targets.count(TOKENIZER.end_id) == len(texts)
    assert TOKENIZER.pad_id not in targets
    assert not batch.loss_mask_BT[:, 0].any()


@given(st.lists(st.tuples(TRICKY, TRICKY), min_size=1, max_size=5))
def test_b2_padding_stands_after_the_end_and_nowhere_else(texts: list[tuple[str, str]]) -> None:
    rendered, _ = load_demonstrations([demonstration(*pair) for pair in texts], TOKENIZER, Text())
    batch = collate(rendered, pad_id=TOKENIZER.pad_id)
    for tokens, example in zip(batch.tokens_BT.tolist(), rendered, strict=True):
        assert tokens[len(example) - 1] == TOKENIZER.end_id
        assert set(tokens[len(example) :]) <= {TOKENIZER.pad_id}
        assert TOKENIZER.pad_id not in tokens[: len(example)]


@given(st.lists(TRICKY, min_size=2, max_size=5), st.integers(0, 60))
def test_b2_the_score_is_read_at_the_end_token(answers: list[str], row_length: int) -> None:
    completions = tuple(Completion(id=str(n), prompt_id="p", text=answer) for n, answer in enumerate(answers))
    groups = tuple((completion.id,) for completion in completions)
    ranking = Ranking(prompt=Prompt(id="p", text="?", user_id="u"), completions=completions, groups=groups, labeler_id="l")
    items, _ = load_rankings([ranking], TOKENIZER, Text())
    batch = collate_rankings(items, pad_id=TOKENIZER.pad_id, row_length=row_length)
    assert (batch.tokens_BT[batch.row_N, batch.end_N] == TOKENIZER.end_id).all()
    assert torch.equal(batch.tokens_BT == TOKENIZER.pad_id, batch.answer_BT == -1)


@needs_shared
@pytest.mark.parametrize("folder", ["tokenizers/gpt2", "models/stories260k"])
def test_b2_tokenizers_made_elsewhere_get_a_padding_token_once(folder: str, tmp_path: Path) -> None:
    """Neither has one: GPT-2 users commonly reuse the end token, and models then never learn to stop."""
    first = load_tokenizer(SHARED / folder)
    assert first.added_pad
    assert first.pad_id not in {first.end_id, *first.begin_ids}
    first.save(tmp_path)
    second = load_tokenizer(tmp_path)
    assert (second.added_pad, second.pad_id, len(second)) == (False, first.pad_id, len(first))
