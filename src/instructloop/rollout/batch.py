"""The Rollout: the episodes of one iteration, side by side.

B episodes, T tokens of a row (prompt, answer, padding), R response tokens (slot r is the answer's token r).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from instructloop.errors import DataError
from instructloop.protocols import Generated


def _later() -> Tensor:
    return torch.empty(0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Rollout:
    """Episodes as they were sampled and, filled in by step 3 with `dataclasses.replace`, what is known about them since.

    Per-token figures are zeros off the mask; one that is not known yet is an empty tensor.
    """

    tokens_BT: Tensor
    """Prompt, then answer, then padding: the ids the engine was given and sampled, never encoded again (law A5)."""
    prompt_length_B: Tensor
    mask_BR: Tensor
    """True exactly on sampled tokens, the end token included (law B1)."""
    ended_B: Tensor
    """True if the answer ended by itself, False if it hit the cap (law B3)."""
    engine_logp_BR: Tensor
    """Log-probability of each token as the engine computed it."""
    logp_old_BR: Tensor = field(default_factory=_later)
    logp_ref_BR: Tensor = field(default_factory=_later)
    value_BR: Tensor = field(default_factory=_later)
    score_B: Tensor = field(default_factory=_later)
    reward_BR: Tensor = field(default_factory=_later)
    advantage_BR: Tensor = field(default_factory=_later)
    return_BR: Tensor = field(default_factory=_later)

    def __len__(self) -> int:
        return len(self.tokens_BT)

    def __getitem__(self, rows: Tensor | slice) -> "Rollout":
        """The episodes at `rows`, in that order, with the widths T and R of the whole."""
        return Rollout(**{f.name: value[rows] if len(value := getattr(self, f.name)) else value for f in fields(self)})

    def split(self, size: int) -> list["Rollout"]:
        """Micro-batches of `size` episodes, in order; the last may be smaller."""
        return [self[start : start + size] for start in range(0, len(self), size)]

    def to(self, device: torch.device | str) -> "Rollout":
        """The same episodes on another device."""
        return Rollout(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def assemble(prompts: Sequence[Sequence[int]], generated: Sequence[Generated], *, pad_id: int) -> Rollout:
    """Put prompts and what was sampled after them into rows; raises `DataError` for an answer without tokens."""
    if not all(answer.ids for answer in generated):
        raise DataError("an answer holds no token", expected="at least one sampled token", remedy="sample with max_new_tokens of 1 or more")
    rows = [[*prompt, *answer.ids] for prompt, answer in zip(prompts, generated, strict=True)]
    lengths = [len(answer.ids) for answer in generated]
    mask_BR = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    engine_logp_BR = torch.zeros(mask_BR.shape, dtype=torch.float64)
    engine_logp_BR[mask_BR] = torch.tensor([logp for answer in generated for logp in answer.logprobs], dtype=torch.float64)
    return Rollout(
        tokens_BT=torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=pad_id),
        prompt_length_B=torch.tensor([len(prompt) for prompt in prompts]),
        mask_BR=mask_BR,
        ended_B=torch.tensor([answer.finish_reason == "stop" for answer in generated]),
        engine_logp_BR=engine_logp_BR,
    )
