"""Estimates with intervals. Prompts are drawn again as wholes: what is said of one prompt is not independent.

Where the claim is about labelers ("our labelers agree in 73 % of cases") they are drawn again too, since other labelers would
agree otherwise; then an interval speaks of labelers like these on prompts like these. Two copies of one person are no pair.

Legend: S resamples, N rows, D numbers that a formula needs, G prompts, P people.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from instructloop.agreement.judgements import Floats, Ints
from instructloop.errors import ConfigError

RESAMPLES = 2_000
LEAST_PEOPLE = 3
"""With fewer there is nothing to draw labelers from."""
MOST_UNDEFINED = 0.2
"""Share of resamples in which a statistic may be undefined; with more, those that are left say too little for an interval."""
_CELLS_AT_ONCE = 1 << 22

Formula = Callable[[Floats], Floats]
"""From sums over rows (S, D) to the statistic (S,); NaN where it is undefined."""

UNANIMOUS, NOTHING, ALL_TIED = "unanimous", "nothing", "all_tied"
"""Why an estimate has no value: everybody gave the same answer; no two people judged the same thing; one of them tied everything."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number, its 95 % interval where there is one, and what it was counted from."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int
    """Cases: things that two people both judged, or things that several judged, as the function says."""
    prompts: int
    why: str | None = None
    """Why there is no value."""


@dataclass(frozen=True)
class Rows:
    """What a formula is summed over."""

    table_ND: Floats
    prompt_N: Ints
    pair_N2: Ints | None = None
    """Who is behind each row, if people are to be drawn again too."""


def estimate(rows: Rows, formula: Formula, *, n: int, unanimous: str = UNANIMOUS, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """The statistic of all rows, with a percentile interval.

    `unanimous` names the reason why a statistic of some rows can be undefined. Resamples in which it is undefined are left out; there
    is no interval if they are many, or if the others all agree.
    Raises `ConfigError` for fewer than 2,000 resamples.
    """
    if resamples < RESAMPLES:
        raise ConfigError(f"{resamples} resamples", expected=f"at least {RESAMPLES:,}, for stable ends of the interval", remedy="ask for more")
    prompts = len(np.unique(rows.prompt_N))
    if n == 0:
        return Estimate(value=None, n=0, prompts=0, why=NOTHING)
    value = float(formula(rows.table_ND.sum(axis=0, keepdims=True))[0])
    if np.isnan(value):
        return Estimate(value=None, n=n, prompts=prompts, why=unanimous)
    drawn_S = _draw(rows, formula, resamples, np.random.default_rng(seed))
    undefined_S = np.isnan(drawn_S)
    drawn_S = drawn_S[~undefined_S]
    if prompts < 2 or undefined_S.mean() > MOST_UNDEFINED or np.ptp(drawn_S) == 0:
        return Estimate(value=value, n=n, prompts=prompts)
    low, high = np.quantile(drawn_S, (0.025, 0.975))
    return Estimate(value=value, low=float(low), high=float(high), n=n, prompts=prompts)


def wilson(hits: int, n: int, *, level: float = 0.95) -> Estimate:
    """A share of independent yes-or-no cases, with Wilson's interval. For strictly binary outcomes only: nothing with ties as a half.

    Raises `ConfigError` for more hits than cases.
    """
    if not 0 <= hits <= n:
        raise ConfigError(f"{hits} hits of {n}", expected="from none to all of the cases", remedy="count again")
    if n == 0:
        return Estimate(value=None, n=0, prompts=0, why=NOTHING)
    z, share = NormalDist().inv_cdf((1 + level) / 2), hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(value=share, low=max(0.0, middle - half), high=min(1.0, middle + half), n=n, prompts=n)


def _draw(rows: Rows, formula: Formula, resamples: int, random: np.random.Generator) -> Floats:
    pairs, table_ND, prompt_N = rows.pair_N2, rows.table_ND, rows.prompt_N
    num_people = 0 if pairs is None else len(np.unique(pairs))
    if num_people < LEAST_PEOPLE:
        pairs, table_ND, prompt_N = None, *_per_prompt(table_ND, prompt_N)
    prompt_N = np.unique(prompt_N, return_inverse=True)[1]
    pair_N2 = None if pairs is None else np.unique(pairs, return_inverse=True)[1].reshape(pairs.shape)
    at_once = max(1, _CELLS_AT_ONCE // len(prompt_N))
    found: list[Floats] = []
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        weight_SN = _weights(random, size, int(prompt_N.max()) + 1)[:, prompt_N]
        if pair_N2 is not None:
            people_SP = _weights(random, size, num_people)
            weight_SN = weight_SN * people_SP[:, pair_N2[:, 0]] * people_SP[:, pair_N2[:, 1]]
        found.append(formula(weight_SN @ table_ND))
    return np.concatenate(found)


def _per_prompt(table_ND: Floats, prompt_N: Ints) -> tuple[Floats, Ints]:
    """Rows of one prompt added up."""
    names, place_N = np.unique(prompt_N, return_inverse=True)
    table_GD = np.zeros((len(names), table_ND.shape[1]))
    np.add.at(table_GD, place_N, table_ND)
    return table_GD, np.arange(len(names))


def _weights(random: np.random.Generator, size: int, count: int) -> Floats:
    """How often each of `count` things is drawn when as many are drawn with replacement, `size` times over."""
    return random.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)
