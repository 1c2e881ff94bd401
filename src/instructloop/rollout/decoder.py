"""A model run over rows of different lengths: their prompts once, then one token per row and step.

B rows, T tokens of a prompt, C columns of the cache, V vocabulary, D width.
"""

from collections.abc import Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from instructloop.model.policy import project
from instructloop.rollout.cache import Columns, RowCache


class RowDecoder:
    """Rows of token ids behind one cache; `logits_BV` are those of the next token of each row."""

    def __init__(self, model: PreTrainedModel, cache: RowCache, length_B: Tensor) -> None:
        self._model, self._cache, self._length_B = model, cache, length_B
        self.logits_BV: Tensor

    @classmethod
    def start(cls, model: PreTrainedModel, prompts: Sequence[Sequence[int]], *, room: int, pad_id: int) -> Self:
        """Read the prompts, right-padded, and leave `room` for that many further tokens in every row; a prompt that comes again is read once."""
        place_of = {prompt: place for place, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
        lengths = [len(prompt) for prompt in place_of]
        longest = max(lengths)
        padded = [[*prompt, *[pad_id] * (longest - len(prompt))] for prompt in place_of]
        length_B = torch.tensor(lengths, device=model.device)
        columns = Columns(capacity=longest + room, write_B=torch.zeros_like(length_B), extent=longest)
        decoder = cls(model, RowCache(model.config.get_text_config(), columns), length_B)
        decoder._read_prompts(torch.tensor(padded, device=model.device))
        if len(place_of) < len(prompts):
            decoder.keep(torch.tensor([place_of[tuple(prompt)] for prompt in prompts], device=model.device))
        return decoder

    @classmethod
    def empty(cls, model: PreTrainedModel, rows: int, *, block: int) -> Self:
        """Rows without a token, for `put`; steps read the cache in whole blocks of columns, so that their shapes are few."""
        length_B = torch.zeros(rows, dtype=torch.long, device=model.device)
        columns = Columns(capacity=block, write_B=length_B, extent=block, block=block)
        decoder = cls(model, RowCache(model.config.get_text_config(), columns), length_B)
        head = cast(nn.Linear, model.get_output_embeddings()).weight
        decoder.logits_BV = head.new_zeros(rows, head.shape[0])
        return decoder

    def put(self, row: int, other: Self) -> None:
        """Replace a row by the only row of another decoder of the same model."""
        length = other._cache.columns.extent
        self._cache.columns.reserve(length)
        self._cache.put(row, other._cache)
        self._length_B[row], self.logits_BV[row] = length, other.logits_BV[0]

    def step(self, id_B: Tensor, live_B: Tensor | None = None) -> None:
        """Append one token to every row; rows outside `live_B` become empty, and what is computed for them means nothing."""
        position_B = self._length_B if live_B is None else self._length_B * live_B
        columns = self._cache.columns
        columns.advance_to(position_B, int(position_B.max()) + 1)
        visible_BC = torch.arange(columns.extent, device=id_B.device) <= position_B[:, None]
        hidden_B1D = self._forward(id_B[:, None], position_B[:, None], visible_BC[:, None, None])
        self._length_B = position_B + 1
        self.logits_BV = project(self._model)(hidden_B1D[:, 0])

    def keep(self, row_B: Tensor) -> None:
        """Drop, reorder or repeat rows."""
        self._cache.keep(row_B)
        self._length_B, self.logits_BV = self._length_B[row_B], self.logits_BV[row_B]

    def _read_prompts(self, tokens_BT: Tensor) -> None:
        rows, longest = tokens_BT.shape
        position_BT = torch.arange(longest, device=tokens_BT.device).expand(rows, -1)
        causal_TT = torch.ones(longest, longest, dtype=torch.bool, device=tokens_BT.device).tril()
        hidden_BTD = self._forward(tokens_BT, position_BT, causal_TT[None, None])
        last_BD = hidden_BTD[torch.arange(rows, device=tokens_BT.device), self._length_B - 1]
        self.logits_BV = project(self._model)(last_BD)

    def _forward(self, tokens_BT: Tensor, position_BT: Tensor, visible_BHTC: Tensor) -> Tensor:
        return self._model.base_model(
            input_ids=tokens_BT, position_ids=position_BT, attention_mask=visible_BHTC, past_key_values=self._cache, use_cache=True
        ).last_hidden_state
