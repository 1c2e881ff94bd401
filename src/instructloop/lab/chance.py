"""Chance by name: every draw of the small world is a pure function of a seed and of what it is for."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def stream(seed: int, *names: str | int) -> Random:
    """Randomness at the start of the stream called `names`, e.g. `stream(seed, "document", 7)`; equal names give equal draws."""
    return Random("\x1f".join(str(part) for part in (seed, *names)))


def pick(shares: Mapping[T, float], chance: Random) -> T:
    """One key, each as often as its share of the sum."""
    return chance.choices(list(shares), list(shares.values()))[0]


def other(options: Sequence[T], than: T, chance: Random) -> T:
    """One of the options that is not `than`."""
    return chance.choice([option for option in options if option != than])
