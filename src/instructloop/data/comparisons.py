"""Comparisons: rankings become token ids and pairs, all answers of a prompt in one batch element (paper §3.5, law C6).

Shapes: N answers of the batch, B rows of T tokens, P pairs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from instructloop.config import Text
from instructloop.data.dropped import Dropped
from instructloop.records import MIN_ANSWERS, Ranking
from instructloop.store.splits import split_key
from instructloop.text.rendering import render_completion, render_prompt
from instructloop.text.tokenizer import Tokenizer

SHORT_ROW = 256
"""Tokens up to which a row is filled whatever its prompt: attention costs little there."""
DEAR_ROW = 1024
"""Tokens of a row at which attention is taken to cost as much as all the rest."""


@dataclass(frozen=True)
class RankedPrompt:
    """One ranking, ready for the reward model."""

    answers: tuple[tuple[int, ...], ...]
    """Ids of the prompt followed by each answer."""
    pairs: tuple[tuple[int, int], ...]
    """(winner, loser) as positions in `answers`; ties have none."""
    prompt_length: int
    prompt_key: str
    """What tells prompts apart in statistics, `splits.split_key`: repeats of one text, or turns of one conversation, are one prompt."""
    source: str
    labeler: str

    @property
    def k(self) -> int:
        """Number of answers."""
        return len(self.answers)

    @property
    def tokens(self) -> int:
        """Of the prompt and of all answers to it."""
        return self.prompt_length + sum(len(answer) - self.prompt_length for answer in self.answers)

    def single_pairs(self) -> "list[RankedPrompt]":
        """Each pair as a ranking of its own: the practice the paper shows to overfit [§3.5]."""
        return [
            RankedPrompt((self.answers[winner], self.answers[loser]), ((0, 1),), self.prompt_length, self.prompt_key, self.source, self.labeler)
            for winner, loser in self.pairs
        ]


@dataclass(frozen=True, eq=False)
class ComparisonBatch:
    """The answers of several prompts in rows padded on the right, and the pairs among them.

    A row is a prompt and one or more of its answers, none of which sees another: what the answers have in common is read once.
    """

    tokens_BT: Tensor
    position_BT: Tensor
    """The place of a token in its prompt and answer, as if the answer stood alone."""
    answer_BT: Tensor
    """Which answer of the row, from 1, a token belongs to; 0 for the prompt, −1 for padding."""
    row_N: Tensor
    """The row that holds an answer."""
    end_N: Tensor
    """The place of an answer's last token in its row: there the score is read."""
    winner_P: Tensor
    """Number of the better answer of each pair."""
    loser_P: Tensor
    """Number of the worse one."""
    prompt_P: Tensor
    """Which prompt of the batch, from 0, a pair belongs to."""

    @property
    def mask_4d(self) -> Tensor | None:
        """True where a token may look, [B, 1, T, T]: back into the prompt and its own answer. None where rows have one answer each."""
        answer_BT = self.answer_BT
        if int(answer_BT.max()) <= 1:
            return None
        own_BTT = (answer_BT[:, :, None] == answer_BT[:, None, :]) | (answer_BT[:, None, :] == 0)
        return (own_BTT & torch.ones_like(own_BTT[0]).tril())[:, None]


def load_rankings(records: Iterable[Ranking], tokenizer: Tokenizer, text: Text) -> tuple[list[RankedPrompt], Dropped]:
    """Render rankings that have a pair to learn from.

    Too long answers are left out as long as two remain; else, and for too long prompts, the ranking is. All is counted.
    """
    ranked: list[RankedPrompt] = []
    long_prompts = long_answers = short_rankings = without_pairs = 0
    for record in records:
        prompt_ids = render_prompt(tokenizer, record.prompt.text, text)
        if len(prompt_ids) > text.max_prompt:
            long_prompts += 1
            continue
        answers = [render_completion(tokenizer, completion) for completion in record.completions]
        fitting = [place for place, answer in enumerate(answers) if len(answer) <= text.max_response]
        long_answers += len(answers) - len(fitting)
        item = _ranked_prompt(record, prompt_ids, answers, fitting)
        if item.k < MIN_ANSWERS:
            short_rankings += 1
        elif not item.pairs:
            without_pairs += 1
        else:
            ranked.append(item)
    counts = Dropped(
        kept=len(ranked), long_prompts=long_prompts, long_answers=long_answers, short_rankings=short_rankings, without_pairs=without_pairs
    )
    return ranked, counts


def collate_rankings(items: Sequence[RankedPrompt], *, pad_id: int, row_length: int = 0) -> ComparisonBatch:
    """All answers of all items, numbered in order: of a prompt as many in one row as gain by it, in at most `row_length` tokens; at least one."""
    rows = [row for item in items for row in _rows(item, row_length)]
    shape = len(rows), max(len(row.tokens) for row in rows)
    tokens_BT, position_BT, answer_BT = torch.full(shape, pad_id), torch.zeros(shape, dtype=torch.int64), torch.full(shape, -1)
    for b, row in enumerate(rows):
        place = slice(len(row.tokens))
        tokens_BT[b, place], position_BT[b, place], answer_BT[b, place] = map(torch.tensor, (row.tokens, row.positions, row.answers))
    pairs: list[tuple[int, int, int]] = []
    first = 0
    for prompt, item in enumerate(items):
        pairs += [(first + winner, first + loser, prompt) for winner, loser in item.pairs]
        first += item.k
    row_N, end_N = torch.tensor([(b, end) for b, row in enumerate(rows) for end in row.ends]).unbind(1)
    winner_P, loser_P, prompt_P = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 3).unbind(1)
    return ComparisonBatch(tokens_BT, position_BT, answer_BT, row_N, end_N, winner_P, loser_P, prompt_P)


@dataclass(frozen=True)
class _Row:
    """A prompt and some of its answers, token by token."""

    tokens: list[int]
    positions: list[int]
    answers: list[int]
    ends: list[int]
    """The place of each answer's last token."""

    def has_room(self, own: int, *, prompt: int, limit: int) -> bool:
        """True if an answer of `own` tokens is read here for less than behind a prompt of its own.

        There the prompt would be read again and looked back at, `prompt + own` tokens; here the kernel multiplies the answer with all other
        answers of the row, though the mask drops the products. With a cost of T + T²/DEAR_ROW for T tokens that is the inequality below.
        """
        tokens = len(self.tokens)
        if tokens + own <= min(SHORT_ROW, limit):
            return True
        return tokens + own <= limit and 2 * own * (tokens - prompt) < prompt * (DEAR_ROW + prompt)

    def append(self, item: RankedPrompt, answer: Sequence[int]) -> None:
        """Put an answer, with its prompt before it, behind what is there; the prompt is left out."""
        own = answer[item.prompt_length :]
        self.tokens.extend(own)
        self.positions.extend(range(item.prompt_length, len(answer)))
        self.answers.extend([len(self.ends) + 1] * len(own))
        self.ends.append(len(self.tokens) - 1)


def _rows(item: RankedPrompt, row_length: int) -> list[_Row]:
    """A new row wherever the next answer has no room."""
    rows: list[_Row] = []
    length = item.prompt_length
    for answer in item.answers:
        if not rows or not rows[-1].has_room(len(answer) - length, prompt=length, limit=row_length):
            rows.append(_Row(list(answer[:length]), list(range(length)), [0] * length, []))
        rows[-1].append(item, answer)
    return rows


def _ranked_prompt(record: Ranking, prompt_ids: tuple[int, ...], answers: Sequence[tuple[int, ...]], kept: Sequence[int]) -> RankedPrompt:
    new_place = {place: new for new, place in enumerate(kept)}
    return RankedPrompt(
        answers=tuple((*prompt_ids, *answers[place]) for place in kept),
        pairs=tuple((new_place[winner], new_place[loser]) for winner, loser in record.pairs if winner in new_place and loser in new_place),
        prompt_length=len(prompt_ids),
        prompt_key=split_key(record.prompt),
        source=record.provenance.origin or record.prompt.provenance.origin or "unknown",
        labeler=record.labeler_id,
    )
