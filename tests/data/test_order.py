"""The order of examples: every epoch sees each once, and any update can be asked for by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.data.order import rows_of_stream, rows_of_update, updates_per_epoch
from instructloop.errors import DataError


@given(size=st.integers(1, 40), batch=st.integers(1, 12), epoch=st.integers(0, 3))
def test_an_epoch_sees_each_example_once(size: int, batch: int, epoch: int) -> None:
    updates = updates_per_epoch(size, batch)
    rows = [rows_of_update(epoch * updates + update, size=size, batch=batch, seed=1, name="sft") for update in range(updates)]
    assert sorted(row for batch_rows in rows for row in batch_rows) == list(range(size))
    assert all(len(batch_rows) == batch for batch_rows in rows[:-1])
    assert 1 <= len(rows[-1]) <= batch


@given(size=st.integers(1, 20), batch=st.integers(1, 50))
def test_a_stream_has_full_batches_and_sees_all_equally_often(size: int, batch: int) -> None:
    seen = [row for update in range(size) for row in rows_of_stream(update, size=size, batch=batch, seed=1, name="ppo")]
    assert len(seen) == size * batch
    assert all(sorted(seen[first : first + size]) == list(range(size)) for first in range(0, len(seen), size))


def test_epochs_names_and_seeds_differ() -> None:
    orders = [
        tuple(rows_of_update(update, size=50, batch=50, seed=seed, name=name))
        for update, seed, name in [(0, 0, "sft"), (1, 0, "sft"), (0, 1, "sft"), (0, 0, "reward")]
    ]
    assert len(set(orders)) == 4


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(DataError, match="no examples"):
        updates_per_epoch(0, 32)
