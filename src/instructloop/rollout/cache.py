"""A key-value cache whose rows stand at different positions: one slot per sequence.

transformers' own caches hold one length for all rows. Here every row writes at its own column, and the caller says by
an explicit mask which columns a row may read (`decoder.py`). All rows' prompts start at column 0. Rows of one cache can
be put into another, whose columns grow in blocks as they are needed.

B rows, G key/value heads, T new tokens, C columns, D head width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedConfig
from transformers.cache_utils import Cache, CacheLayerMixin


@dataclass
class Columns:
    """Where the next token of each row is written, shared by the layers of one cache."""

    capacity: int
    write_B: Tensor
    extent: int
    """Columns in use: at least one more than the largest of `write_B`."""
    block: int = 1
    """`extent` is a multiple of it after every step."""

    def advance_to(self, write_B: Tensor, used: int) -> None:
        """Point every row at its next column; `used` is one more than the largest of them."""
        self.write_B, self.extent = write_B, self.reserve(used)

    def reserve(self, used: int) -> int:
        """See that there are `used` columns, rounded up to whole blocks; how many that are."""
        rounded = -(-used // self.block) * self.block
        self.capacity = max(self.capacity, rounded)
        return rounded


class RowCacheLayer(CacheLayerMixin):
    """Keys and values of one layer, [B, G, C, D]; columns beyond a row's own are zeros or leftovers, and are masked."""

    is_sliding = False

    def __init__(self, columns: Columns, *, attended_to: bool = True) -> None:
        """`attended_to` is False where the model makes keys and values of what is kept here, and wants it in the precision it gave."""
        super().__init__()
        self.columns, self.attended_to = columns, attended_to

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make room, with zeros: a masked column must not hold a NaN, which would survive a weight of 0."""
        self.keys, self.values = (self._room(states) for states in (key_states, value_states))
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object) -> tuple[Tensor, Tensor]:
        """Store new keys and values [B, G, T, D]: prompts from column 0, a single token at its row's own column."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        (keys, values), tokens, extent = self._roomy_stores(), key_states.shape[2], self.columns.extent
        if tokens > 1:
            keys[:, :, :tokens], values[:, :, :tokens] = key_states, value_states
            return key_states, value_states
        row_B = torch.arange(len(key_states), device=key_states.device)
        keys[row_B, :, self.columns.write_B] = key_states[:, :, 0].to(keys.dtype)
        values[row_B, :, self.columns.write_B] = value_states[:, :, 0].to(values.dtype)
        return keys[:, :, :extent], values[:, :, :extent]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset of what `update` returns."""
        return self.columns.extent, 0

    def get_seq_length(self) -> int:
        """Columns in use."""
        return self.columns.extent if self.is_initialized else 0

    def get_max_length(self) -> int:
        """Columns there are."""
        return self.columns.capacity

    def keep(self, row_B: Tensor) -> None:
        """Drop, reorder or repeat rows."""
        self.keys, self.values = (store.index_select(0, row_B) for store in self._stores())

    def put(self, row: int, other: "RowCacheLayer") -> None:
        """Overwrite the beginning of a row by the only row of another cache."""
        other_keys, other_values = other._stores()
        if not self.is_initialized:
            empty = other_keys.new_empty(len(self.columns.write_B), *other_keys.shape[1:])
            self.lazy_initialization(empty, empty)
        (keys, values), tokens = self._roomy_stores(), other_keys.shape[2]
        keys[row, :, :tokens], values[row, :, :tokens] = other_keys[0], other_values[0]

    def _roomy_stores(self) -> tuple[Tensor, Tensor]:
        """The stores, widened where the cache has more columns by now."""
        missing = self.columns.capacity - self._stores()[0].shape[2]
        if missing > 0:
            self.keys, self.values = (pad(store, (0, 0, 0, missing)) for store in self._stores())
        return self._stores()

    def _stores(self) -> tuple[Tensor, Tensor]:
        assert self.keys is not None, "a cache is written before it is read"
        assert self.values is not None
        return self.keys, self.values

    def _room(self, states: Tensor) -> Tensor:
        rows, heads, _, width = states.shape
        return states.new_zeros(rows, heads, self.columns.capacity, width, dtype=self._kept_as(states))

    def _kept_as(self, states: Tensor) -> torch.dtype:
        """float32 at least on a CPU, in which `attention.py` computes there: 16 bits would be widened anew for every token."""
        widened = self.attended_to and states.device.type == "cpu"
        return torch.promote_types(states.dtype, torch.float32) if widened else states.dtype


class RowCache(Cache):
    """The layers of a model's cache, all at the same per-row columns."""

    def __init__(self, config: PreTrainedConfig, columns: Columns) -> None:
        """For a text model of this configuration; those with a `kv_lora_rank` keep a latent vector instead of keys and values."""
        self.columns, attended_to = columns, getattr(config, "kv_lora_rank", None) is None
        super().__init__(layers=[RowCacheLayer(columns, attended_to=attended_to) for _ in range(config.num_hidden_layers)])

    def keep(self, row_B: Tensor) -> None:
        """Drop, reorder or repeat rows, in every layer."""
        for layer in self.layers:
            layer.keep(row_B)  # pyright: ignore[reportAttributeAccessIssue]

    def put(self, row: int, other: "RowCache") -> None:
        """Overwrite the beginning of a row by the only row of another cache, in every layer."""
        for layer, other_layer in zip(self.layers, other.layers, strict=True):
            layer.put(row, other_layer)  # pyright: ignore[reportAttributeAccessIssue]
