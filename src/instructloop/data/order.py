"""The order in which examples are seen: a pure function of seed, name and update, so that resuming restores nothing."""

from instructloop.algo.seeds import permutation
from instructloop.errors import DataError


def updates_per_epoch(size: int, batch: int) -> int:
    """Updates in one pass over `size` examples; the last batch of a pass may be short."""
    if size < 1:
        raise DataError("there are no examples to train on", expected="at least one", remedy="see how many were dropped, and why, above")
    return -(-size // batch)


def rows_of_update(update: int, *, size: int, batch: int, seed: int, name: str) -> list[int]:
    """The examples of one update, counted from 0. Every epoch is a fresh permutation, and no batch crosses epochs."""
    epoch, place = divmod(update, updates_per_epoch(size, batch))
    order = permutation(size, seed, name, "epoch", epoch)
    return order[place * batch : (place + 1) * batch].tolist()
