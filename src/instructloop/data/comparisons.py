"""Comparisons: rankings become token ids and pairs, all answers of a prompt in one batch element (paper §3.5, law C6).

Shapes: N answers of the batch, T tokens of an answer with its prompt, P pairs.
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

    def single_pairs(self) -> "list[RankedPrompt]":
        """Each pair as a ranking of its own: the practice the paper shows to overfit [§3.5]."""
        return [
            RankedPrompt((self.answers[winner], self.answers[loser]), ((0, 1),), self.prompt_length, self.prompt_key, self.source, self.labeler)
            for winner, loser in self.pairs
        ]


@dataclass(frozen=True, eq=False)
class ComparisonBatch:
    """The answers of several prompts, padded on the right, and the pairs among them."""

    tokens_NT: Tensor
    length_N: Tensor
    """Tokens of each answer with its prompt: the score is read at length − 1."""
    winner_P: Tensor
    """Row of the better answer of each pair."""
    loser_P: Tensor
    """Row of the worse one."""
    prompt_P: Tensor
    """Which prompt of the batch, from 0, a pair belongs to."""


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


def collate_rankings(items: Sequence[RankedPrompt], *, pad_id: int) -> ComparisonBatch:
    """All answers of all items as rows, in order."""
    rows = [answer for item in items for answer in item.answers]
    tokens_NT = torch.full((len(rows), max(map(len, rows))), pad_id)
    for n, row in enumerate(rows):
        tokens_NT[n, : len(row)] = torch.tensor(row)
    pairs: list[tuple[int, int, int]] = []
    first = 0
    for prompt, item in enumerate(items):
        pairs += [(first + winner, first + loser, prompt) for winner, loser in item.pairs]
        first += item.k
    winner_P, loser_P, prompt_P = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 3).unbind(1)
    return ComparisonBatch(tokens_NT, torch.tensor([len(row) for row in rows]), winner_P, loser_P, prompt_P)


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
