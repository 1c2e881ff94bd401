"""The Rollout record: sampled episodes as tensors, and what a training step computes for them.

B episodes, T tokens of the longest row (prompt then answer, padded on the right), R tokens of the longest answer.
Answer token r of episode b is `tokens_BT[b, prompt_length_B[b] + r]`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self, cast

import torch
from torch import Tensor

from instructloop.errors import DataError
from instructloop.protocols import Generated

LATER = cast(Tensor, None)
"""What a field holds until the step has computed it."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Episodes of one batch. Every field is a tensor with an entry, or a row, per episode."""

    tokens_BT: Tensor
    prompt_length_B: Tensor
    mask_BR: Tensor
    """The one mask: True exactly on sampled tokens, the end token included (law B1)."""
    ended_B: Tensor
    """True where the answer ended by a stop id, False where it hit the cap (law B3)."""
    engine_logp_BR: Tensor
    """The engine's log-probabilities, float64; zeros off the mask."""
    logp_old_BR: Tensor = LATER
    logp_ref_BR: Tensor = LATER
    value_BR: Tensor = LATER
    score_B: Tensor = LATER
    reward_BR: Tensor = LATER
    advantage_BR: Tensor = LATER
    return_BR: Tensor = LATER

    def __len__(self) -> int:
        return len(self.tokens_BT)

    def __getitem__(self, rows: Tensor | slice) -> Self:
        """The episodes at these rows, widths unchanged."""
        return self._map(lambda tensor: tensor[rows])

    def split(self, size: int) -> Iterator[Self]:
        """Micro-batches of at most `size` episodes, in order."""
        return (self[slice(first, first + size)] for first in range(0, len(self), size))

    def by_length(self) -> Tensor:
        """An order of the episodes from the shortest row to the longest: micro-batches cut from it hold little padding."""
        return (self.prompt_length_B + self.mask_BR.sum(1)).argsort(stable=True)

    def trimmed(self) -> Self:
        """The same episodes without the columns that are padding in every row."""
        length_B = self.mask_BR.sum(1)
        answer, row = int(length_B.max()), int((self.prompt_length_B + length_B).max())
        cut = self._map(lambda tensor: tensor[:, :answer] if tensor.dim() == 2 else tensor)
        return replace(cut, tokens_BT=self.tokens_BT[:, :row])

    def to(self, device: torch.device | str) -> Self:
        """The same episodes on a device."""
        return self._map(lambda tensor: tensor.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        tensors: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(tensor) for name, tensor in tensors.items() if tensor is not LATER})


def assemble(prompts: Sequence[Sequence[int]], generated: Sequence[Generated], *, pad_id: int) -> Rollout:
    """Prompts and their sampled answers as one record; the ids are those the engine sampled, untouched (law A5)."""
    if len(generated) != len(prompts) or not prompts:
        raise DataError(
            f"{len(generated)} answers for {len(prompts)} prompts", expected="one answer per prompt, and one at least", remedy="sample again"
        )
    rows = [[*prompt, *answer.ids] for prompt, answer in zip(prompts, generated, strict=True)]
    length_B = torch.tensor([len(answer.ids) for answer in generated])
    return Rollout(
        tokens_BT=torch.tensor(_padded(rows, pad_id)),
        prompt_length_B=torch.tensor([len(prompt) for prompt in prompts]),
        mask_BR=torch.arange(int(length_B.max())) < length_B[:, None],
        ended_B=torch.tensor([answer.finish_reason == "stop" for answer in generated]),
        engine_logp_BR=torch.tensor(_padded([answer.logprobs for answer in generated], 0.0), dtype=torch.float64),
    )


def _padded(rows: Sequence[Sequence[float]], filling: float) -> list[list[float]]:
    longest = max(map(len, rows))
    return [[*row, *[filling] * (longest - len(row))] for row in rows]
