"""Demonstrations: records become rendered examples, and rendered examples become token batches.

Shapes: B batch rows, T tokens of a row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from instructloop.config import Text
from instructloop.data.dropped import Dropped
from instructloop.errors import DataError
from instructloop.records import Demonstration
from instructloop.text.rendering import Rendered, join, render_answer, render_prompt
from instructloop.text.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Rows of tokens, padded on the right, and which of them are targets."""

    tokens_BT: Tensor
    loss_mask_BT: Tensor
    """True where the token is a target of the loss; never on padding, never on the first token of a sequence (law B1)."""
    position_BT: Tensor | None = None
    """Packed rows: the place of a token in its own sequence."""
    segment_BT: Tensor | None = None
    """Packed rows: which sequence of the row a token belongs to, from 0; −1 is padding. Tokens attend within their segment only."""


def load_demonstrations(
    records: Iterable[Demonstration], tokenizer: Tokenizer, text: Text, *, loss_on: Literal["response", "all"] = "response"
) -> tuple[list[Rendered], Dropped]:
    """Render demonstrations; those whose prompt or answer is too long are dropped and counted."""
    rendered: list[Rendered] = []
    long_prompts = long_answers = 0
    for record in records:
        prompt_ids = render_prompt(tokenizer, record.prompt.text, text)
        answer_ids = render_answer(tokenizer, record.text)
        if len(prompt_ids) > text.max_prompt:
            long_prompts += 1
        elif len(answer_ids) > text.max_response:
            long_answers += 1
        else:
            given = len(prompt_ids) if loss_on == "response" else len(tokenizer.begin_ids)
            rendered.append(join(prompt_ids, answer_ids, given=given))
    return rendered, Dropped(kept=len(rendered), long_prompts=long_prompts, long_answers=long_answers)


def collate(rendered: Sequence[Rendered], *, pad_id: int, pack_to: int | None = None) -> TokenBatch:
    """One row per example, or, with `pack_to`, as few rows of at most that many tokens as a first fit by length gives."""
    if pack_to is not None:
        return _pad(_first_fit(rendered, pack_to), pad_id)
    padded = _pad([[example] for example in rendered], pad_id)
    return TokenBatch(padded.tokens_BT, padded.loss_mask_BT)


def _pad(rows: Sequence[Sequence[Rendered]], pad_id: int) -> TokenBatch:
    shape = len(rows), max(sum(map(len, row)) for row in rows)
    tokens_BT = torch.full(shape, pad_id)
    loss_mask_BT = torch.zeros(shape, dtype=torch.bool)
    position_BT = torch.zeros(shape, dtype=torch.int64)
    segment_BT = torch.full(shape, -1)
    for b, row in enumerate(rows):
        start = 0
        for segment, example in enumerate(row):
            place = slice(start, start := start + len(example))
            tokens_BT[b, place] = torch.tensor(example.ids)
            loss_mask_BT[b, place] = torch.tensor(example.loss_mask)
            position_BT[b, place] = torch.arange(len(example))
            segment_BT[b, place] = segment
    return TokenBatch(tokens_BT, loss_mask_BT, position_BT, segment_BT)


def _first_fit(rendered: Sequence[Rendered], capacity: int) -> list[list[Rendered]]:
    rows: list[list[Rendered]] = []
    free: list[int] = []
    for example in sorted(rendered, key=len, reverse=True):
        if len(example) > capacity:
            raise DataError(f"an example of {len(example)} tokens for rows of {capacity}", expected="examples that fit", remedy="raise pack_to")
        row = next((row for row, room in enumerate(free) if room >= len(example)), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(capacity)
        rows[row].append(example)
        free[row] -= len(example)
    return rows
