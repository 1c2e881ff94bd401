"""Means with intervals. The unit that is drawn again is the prompt, because answers to one prompt are not independent.

Legend: N measurements, G groups (prompts), S resamples.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from instructloop.errors import ConfigError

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


def _per_group(value_N: NDArray[np.float64], groups: Sequence[Hashable] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if groups is None:
        return value_N, np.ones(value_N.size)
    if len(groups) != value_N.size:
        raise ValueError(f"{len(groups)} group names for {value_N.size} measurements")
    number = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    group_N = np.fromiter((number[group] for group in groups), dtype=np.int64, count=len(groups))
    return np.bincount(group_N, weights=value_N).astype(np.float64), np.bincount(group_N).astype(np.float64)


def _resampled_means(total_G: NDArray[np.float64], count_G: NDArray[np.float64], resamples: int, random: np.random.Generator) -> NDArray[np.float64]:
    num_groups = len(total_G)
    at_once = max(1, _DRAWS_AT_ONCE // num_groups)
    means: list[NDArray[np.float64]] = []
    for start in range(0, resamples, at_once):
        draw_SG = random.integers(num_groups, size=(min(at_once, resamples - start), num_groups))
        means.append(total_G[draw_SG].sum(axis=1) / count_G[draw_SG].sum(axis=1))
    return np.concatenate(means)
