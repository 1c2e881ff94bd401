"""The coefficients, each counted from sums over prompts, so that drawing prompts again costs one matrix product.

**The headline is pairwise agreement**: two labelers agree on two answers if both say the same of three things: the first is better,
they are equal, the second is better. A tie against a preference is a disagreement. `untied_agreement` leaves out what either of
them tied, as Stiennon et al. did; the InstructGPT paper states 72.6 ± 1.5 % and no rule for ties.

The others correct for what chance would give. They are undefined where everybody always gave the same answer: chance would
then agree as well.

Legend: S resamples, N rows of (prompt, two people), U units, C values.
"""

from typing import Literal

import numpy as np

from instructloop.agreement.estimates import ALL_TIED, Estimate, Rows, estimate
from instructloop.agreement.judgements import EQUAL, FIRST_BETTER, SECOND_BETTER, Confusions, Floats, Units

Level = Literal["nominal", "ordinal"]


def pairwise_agreement(said: Confusions, *, labelers_too: bool = False) -> Estimate:
    """Share of cases in which two people said the same. n: cases. `labelers_too` draws them again as well, for claims about labelers."""
    same_N, all_N = np.trace(said.count_NCC, axis1=1, axis2=2), said.count_NCC.sum(axis=(1, 2))
    return _share(said, same_N, all_N, labelers_too=labelers_too)


def untied_agreement(said: Confusions, *, labelers_too: bool = False) -> Estimate:
    """The same among the cases that neither of the two has tied."""
    ends = np.array([FIRST_BETTER, SECOND_BETTER])
    untied_N22 = said.count_NCC[:, ends[:, None], ends]
    return _share(said, np.trace(untied_N22, axis1=1, axis2=2), untied_N22.sum(axis=(1, 2)), labelers_too=labelers_too)


def cohen_kappa(said: Confusions) -> Estimate:
    """κ = (p_o − p_e) / (1 − p_e), p_e = Σ_c p_first(c) p_second(c): of two people, or pooled over many pairs. n: cases (Cohen 1960)."""
    num_values = said.count_NCC.shape[1]
    table_ND = said.count_NCC.reshape(len(said.count_NCC), num_values**2)

    def formula(sums_SD: Floats) -> Floats:
        sums_SCC = sums_SD.reshape(-1, num_values, num_values)
        total_S = sums_SCC.sum(axis=(1, 2))
        with np.errstate(invalid="ignore", divide="ignore"):
            same_S = np.trace(sums_SCC, axis1=1, axis2=2) / total_S
            chance_S = (sums_SCC.sum(axis=2) * sums_SCC.sum(axis=1)).sum(axis=1) / total_S**2
        return _beyond_chance(same_S, chance_S)

    return estimate(Rows(table_ND, said.prompt_N), formula, n=round(table_ND.sum()))


def fleiss_kappa(judged: Units) -> Estimate:
    """κ = (P̄ − P̄_e) / (1 − P̄_e) over things that several people judged. n: those things (Fleiss 1971).

    P̄ is the mean over things of the share of agreeing pairs; P̄_e comes from all judgements together, so that things which
    more people have judged weigh more there if their numbers differ.
    """
    count_UC, total_U = judged.count_UC, judged.count_UC.sum(axis=1)
    same_U = (count_UC * (count_UC - 1)).sum(axis=1) / (total_U * (total_U - 1))
    table_UD = np.column_stack([same_U, np.ones_like(same_U), count_UC])

    def formula(sums_SD: Floats) -> Floats:
        share_SC = sums_SD[:, 2:] / sums_SD[:, 2:].sum(axis=1, keepdims=True)
        return _beyond_chance(sums_SD[:, 0] / sums_SD[:, 1], (share_SC**2).sum(axis=1))

    return estimate(Rows(table_UD, judged.prompt_U), formula, n=len(count_UC))


def krippendorff_alpha(judged: Units, level: Level) -> Estimate:
    """α = 1 − D_o / D_e from the matrix of coincidences. n: things that two people or more judged (Krippendorff 2011).

    `nominal`: values differ or do not; `ordinal`: by the ranks that lie between them.
    """
    count_UC, total_U = judged.count_UC, judged.count_UC.sum(axis=1)
    num_values = count_UC.shape[1]
    pairs_UCC = count_UC[:, :, None] * count_UC[:, None, :] - np.eye(num_values) * count_UC[:, :, None]
    table_UD = (pairs_UCC / (total_U - 1)[:, None, None]).reshape(len(count_UC), num_values**2)

    def formula(sums_SD: Floats) -> Floats:
        sums_SCC = sums_SD.reshape(-1, num_values, num_values)
        count_SC = sums_SCC.sum(axis=2)
        distance_SCC = _distances(count_SC, level)
        observed_S = (sums_SCC * distance_SCC).sum(axis=(1, 2))
        by_chance_S = (count_SC[:, :, None] * count_SC[:, None, :] * distance_SCC).sum(axis=(1, 2))
        with np.errstate(invalid="ignore", divide="ignore"):
            return 1 - (count_SC.sum(axis=1) - 1) * observed_S / by_chance_S

    return estimate(Rows(table_UD, judged.prompt_U), formula, n=len(count_UC))


def kendall_tau_b(said: Confusions) -> Estimate:
    """Mean over prompts of τ-b = (P − Q) / √((P + Q + T₁)(P + Q + T₂)) between two people's rankings (Kendall 1945).

    n: rankings of both; those in which either has tied everything have no τ-b and do not count.
    """
    count_NCC = said.count_NCC
    all_N = count_NCC.sum(axis=(1, 2))
    ordered_N = (all_N - count_NCC[:, EQUAL].sum(axis=1)) * (all_N - count_NCC[:, :, EQUAL].sum(axis=1))
    straight_N = count_NCC[:, FIRST_BETTER, FIRST_BETTER] + count_NCC[:, SECOND_BETTER, SECOND_BETTER]
    crossed_N = count_NCC[:, FIRST_BETTER, SECOND_BETTER] + count_NCC[:, SECOND_BETTER, FIRST_BETTER]
    scale_N = np.sqrt(ordered_N)
    has_tau_N = scale_N > 0
    tau_N = np.divide(straight_N - crossed_N, scale_N, out=np.zeros_like(scale_N), where=has_tau_N)
    table_N2 = np.column_stack([tau_N, has_tau_N.astype(np.float64)])
    return estimate(Rows(table_N2, said.prompt_N), _ratio, n=int(has_tau_N.sum()) or len(tau_N), unanimous=ALL_TIED)


def _share(said: Confusions, same_N: Floats, all_N: Floats, *, labelers_too: bool) -> Estimate:
    rows = Rows(np.column_stack([same_N, all_N]), said.prompt_N, said.pair_N2 if labelers_too else None)
    return estimate(rows, _ratio, n=round(all_N.sum()))


def _ratio(sums_S2: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return sums_S2[:, 0] / sums_S2[:, 1]


def _beyond_chance(same_S: Floats, chance_S: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance_S < 1 - 1e-12, (same_S - chance_S) / (1 - chance_S), np.nan)


def _distances(count_SC: Floats, level: Level) -> Floats:
    """δ² between every two values; ordinal: (Σ of counts from one to the other, the ends by half)²."""
    num_values = count_SC.shape[1]
    if level == "nominal":
        return np.broadcast_to(1 - np.eye(num_values), (len(count_SC), num_values, num_values))
    middle_SC = np.cumsum(count_SC, axis=1) - count_SC / 2
    return (middle_SC[:, :, None] - middle_SC[:, None, :]) ** 2
