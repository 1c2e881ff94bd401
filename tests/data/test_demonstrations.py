"""Demonstrations: what is dropped is counted, and packing changes where tokens stand but not what they are."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instructloop.config import Text
from instructloop.data.demonstrations import TokenBatch, collate, load_demonstrations
from instructloop.errors import DataError
from instructloop.records import Demonstration, Prompt
from instructloop.text.rendering import Rendered, join
from instructloop.text.tokenizer import train_tokenizer

TOKENIZER = train_tokenizer(["a"], vocab=258)
"""One token per byte, so that lengths are plain to see."""
PAD = TOKENIZER.pad_id
TEXT = Text(separator="\n", context=16, max_prompt=8, max_response=8)


def demonstration(prompt: str, answer: str) -> Demonstration:
    return Demonstration(prompt=Prompt(id=prompt, text=prompt, user_id="u"), text=answer, labeler_id="l")


def test_what_does_not_fit_is_dropped_and_counted() -> None:
    records = [
        demonstration("p" * 7, "a" * 7),  # 8 with separator, 8 with end: both at the limit
        demonstration("p" * 8, "a"),
        demonstration("p", "a" * 8),
        demonstration("p" * 8, "a" * 8),
    ]
    rendered, dropped = load_demonstrations(records, TOKENIZER, TEXT)
    assert [len(example) for example in rendered] == [16]
    assert (dropped.kept, dropped.long_prompts, dropped.long_answers) == (1, 2, 1)
    assert str(dropped) == "1 kept; dropped: 2 long prompts, 1 long answers"


def test_targets_as_asked() -> None:
    (response,), _ = load_demonstrations([demonstration("pp", "aa")], TOKENIZER, TEXT)
    (everything,), _ = load_demonstrations([demonstration("pp", "aa")], TOKENIZER, TEXT, loss_on="all")
    assert response.ids == everything.ids
    assert response.loss_mask == (False, False, False, True, True, True)
    assert everything.loss_mask == (False, True, True, True, True, True)


EXAMPLES = st.lists(
    st.tuples(st.lists(st.integers(5, 90), min_size=1, max_size=5), st.lists(st.integers(5, 90), min_size=1, max_size=5)).map(
        lambda parts: join(parts[0], parts[1], given=len(parts[0]))
    ),
    min_size=1,
    max_size=9,
)


@given(EXAMPLES)
def test_padded_rows_hold_the_examples(examples: list[Rendered]) -> None:
    batch = collate(examples, pad_id=PAD)
    assert batch.position_BT is None
    assert batch.segment_BT is None
    width = max(map(len, examples))
    for row, example in enumerate(examples):
        padding = width - len(example)
        assert batch.tokens_BT[row].tolist() == [*example.ids, *[PAD] * padding]
        assert batch.loss_mask_BT[row].tolist() == [*example.loss_mask, *[False] * padding]


@given(EXAMPLES, st.integers(10, 24))
def test_packed_rows_hold_the_same_examples(examples: list[Rendered], capacity: int) -> None:
    batch = collate(examples, pad_id=PAD, pack_to=capacity)
    assert batch.tokens_BT.shape[1] <= capacity
    assert sorted(unpack(batch), key=repr) == sorted(examples, key=repr)
    assert batch.segment_BT is not None
    assert torch.equal(batch.segment_BT < 0, (batch.tokens_BT == PAD))
    assert not batch.loss_mask_BT[batch.segment_BT < 0].any()


def unpack(batch: TokenBatch) -> list[Rendered]:
    """The examples of a packed batch, found by segment; positions must count each from 0."""
    assert batch.segment_BT is not None
    assert batch.position_BT is not None
    found: list[Rendered] = []
    for tokens, mask, position, segment in zip(batch.tokens_BT, batch.loss_mask_BT, batch.position_BT, batch.segment_BT, strict=True):
        for number in range(int(segment.max()) + 1):
            own = segment == number
            assert position[own].tolist() == list(range(int(own.sum())))
            found.append(Rendered(tuple(tokens[own].tolist()), tuple(mask[own].tolist())))
    return found


def test_packing_saves_rows() -> None:
    examples = [join((5,) * 3, (6,) * 3, given=3)] * 4
    assert collate(examples, pad_id=PAD, pack_to=12).tokens_BT.shape == (2, 12)
    with pytest.raises(DataError, match="6 tokens for rows of 5"):
        collate(examples, pad_id=PAD, pack_to=5)
