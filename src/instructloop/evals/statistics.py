"""Means with intervals. The unit that is drawn again is the prompt, because answers to one prompt are not independent.

Two rows with the same prompt are one prompt, whatever their ids: groups are named by `store.splits.split_key`.

Legend: N measurements, P pairs, G groups (prompts), S resamples.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instructloop.errors import ConfigError

Floats = NDArray[np.float64]

MIN_RESAMPLES = 2_000
_DRAWS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Interval:
    """A mean and its bootstrap percentile interval; `n` counts the groups (prompts), not the measurements."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_mean(
    values: ArrayLike, groups: Sequence[Hashable] | None = None, *, resamples: int = MIN_RESAMPLES, level: float = 0.95, seed: int = 0
) -> Interval:
    """The mean over all measurements, with a percentile interval from drawing whole groups with replacement.

    `groups[i]` names the prompt of `values[i]`; without it every measurement is a group of its own. An empty input is
    an interval of NaNs with n = 0.
    """
    value_N = np.asarray(values, dtype=np.float64)
    if resamples < MIN_RESAMPLES:
        raise ConfigError(f"{resamples} resamples", expected=f"at least {MIN_RESAMPLES}, for stable ends of the interval", remedy="ask for more")
    if value_N.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    total_G, count_G = _per_group(value_N, groups)
    mean_S = _resampled_means(total_G, count_G, resamples, np.random.default_rng(seed))
    low, high = np.quantile(mean_S, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value_N.mean()), float(low), float(high), len(total_G))


def bootstrap_difference(
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    *,
    resamples: int = MIN_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean of first − second, measured on the same items: the pairing removes what the items themselves vary."""
    first_N, second_N = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first_N.shape != second_N.shape:
        raise ValueError(f"{first_N.shape} and {second_N.shape} measurements cannot be paired")
    return bootstrap_mean(first_N - second_N, groups, resamples=resamples, level=level, seed=seed)


def pair_hits(margin_P: ArrayLike) -> Floats:
    """1 for each pair whose better answer scores higher, 0 for the contrary, ½ for equal scores; `margin_P` is better − worse."""
    return (np.sign(np.asarray(margin_P, dtype=np.float64)) + 1) / 2


def _per_group(value_N: Floats, groups: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    if groups is None:
        return value_N, np.ones(value_N.size)
    if len(groups) != value_N.size:
        raise ValueError(f"{len(groups)} group names for {value_N.size} measurements")
    number = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    group_N = np.fromiter((number[group] for group in groups), dtype=np.int64, count=len(groups))
    return np.bincount(group_N, weights=value_N).astype(np.float64), np.bincount(group_N).astype(np.float64)


def _resampled_means(total_G: Floats, count_G: Floats, resamples: int, random: np.random.Generator) -> Floats:
    num_groups = len(total_G)
    at_once = max(1, _DRAWS_AT_ONCE // num_groups)
    means: list[Floats] = []
    for start in range(0, resamples, at_once):
        draw_SG = random.integers(num_groups, size=(min(at_once, resamples - start), num_groups))
        means.append(total_G[draw_SG].sum(axis=1) / count_G[draw_SG].sum(axis=1))
    return np.concatenate(means)
