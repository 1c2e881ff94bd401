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


def rows_of_stream(update: int, *, size: int, batch: int, seed: int, name: str) -> list[int]:
    """The examples of one update of a stream that never ends: full batches that run on from one permutation into the next."""
    if size < 1:
        raise DataError("there are no examples to draw from", expected="at least one", remedy="see how many were dropped, and why, above")
    first, last = update * batch, (update + 1) * batch
    orders = [permutation(size, seed, name, "epoch", epoch).tolist() for epoch in range(first // size, (last - 1) // size + 1)]
    start = first % size
    return [row for order in orders for row in order][start : start + batch]
