"""Coefficients against published worked examples, against scipy and statsmodels where those are installed, and their invariances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.agreement.coefficients import (
    cohen_kappa,
    fleiss_kappa,
    kendall_tau_b,
    krippendorff_alpha,
    pairwise_agreement,
    untied_agreement,
)
from instructloop.agreement.estimates import ALL_TIED, NOTHING, UNANIMOUS
from instructloop.agreement.judgements import Choice, Ranks, Units, confusions, pair_choices, units

KRIPPENDORFF_2011 = (
    "123321412...",
    "12332241 25.3".replace(" ", ""),
    ".33323422 51.".replace(" ", ""),
    "123324412 51.".replace(" ", ""),
)
"""His example C: four observers, twelve units, five values, and what is missing."""

FLEISS_1971 = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
"""Fourteen people put ten things into five classes: the example of Wikipedia's "Fleiss' kappa", κ = 0.210."""


def observed(rows: tuple[str, ...]) -> list[Choice]:
    return [
        Choice(str(unit), str(unit), f"observer {number}", int(value) - 1)
        for number, row in enumerate(rows)
        for unit, value in enumerate(row)
        if value != "."
    ]


def table(counts: list[list[int]]) -> list[Choice]:
    """Two people; `counts[u][v]` things of which the first said u and the second v."""
    said = [(u, v) for u, row in enumerate(counts) for v, count in enumerate(row) for _ in range(count)]
    return [Choice(str(n), str(n), person, value) for n, two in enumerate(said) for person, value in zip("ab", two, strict=True)]


def test_krippendorff_s_example() -> None:
    judged = units(observed(KRIPPENDORFF_2011), 5)
    nominal, ordinal = krippendorff_alpha(judged, "nominal"), krippendorff_alpha(judged, "ordinal")
    assert (nominal.value, ordinal.value) == (pytest.approx(0.743, abs=5e-4), pytest.approx(0.815, abs=5e-4))
    assert nominal.n == 11, "the unit that one observer saw alone does not count"


def test_fleiss_example() -> None:
    kappa = fleiss_kappa(Units(np.arange(10), np.array(FLEISS_1971, dtype=np.float64)))
    assert (kappa.value, kappa.n) == (pytest.approx(0.2099, abs=5e-5), 10)


def test_cohen_s_example() -> None:
    """Two readers, fifty proposals, 20 both yes, 15 both no (Wikipedia, "Cohen's kappa"): p_o 0.7, κ 0.4."""
    said = confusions(table([[20, 5], [10, 15]]), 2)
    assert cohen_kappa(said).value == pytest.approx(0.4)
    assert pairwise_agreement(said).value == pytest.approx(0.7)
    assert cohen_kappa(said).n == 50


def test_kendall_with_ties() -> None:
    """scipy's documented example: τ-b of [12, 2, 1, 12, 2] and [1, 4, 7, 1, 0] is −0.4714045."""
    first, second = [12, 2, 1, 12, 2], [1, 4, 7, 1, 0]
    rankings = [Ranks("p", person, {str(i): rank for i, rank in enumerate(ranks)}) for person, ranks in (("a", first), ("b", second))]
    tau = kendall_tau_b(confusions(pair_choices(rankings), 3))
    assert (tau.value, tau.n, tau.low) == (pytest.approx(-0.47140452079), 1, None)


def test_a_tie_against_a_preference_is_a_disagreement_and_is_left_out_of_the_other() -> None:
    rankings = [Ranks("p", "a", {"x": 1, "y": 2, "z": 3}), Ranks("p", "b", {"x": 1, "y": 1, "z": 2})]
    said = confusions(pair_choices(rankings), 3)
    assert pairwise_agreement(said).value == pytest.approx(2 / 3)
    assert (untied_agreement(said).value, untied_agreement(said).n) == (1.0, 2)


def test_who_always_says_the_same_has_no_kappa() -> None:
    said = confusions(table([[9, 0], [0, 0]]), 2)
    judged = units(table([[9, 0], [0, 0]]), 2)
    for undefined in (cohen_kappa(said), fleiss_kappa(judged), krippendorff_alpha(judged, "nominal"), krippendorff_alpha(judged, "ordinal")):
        assert (undefined.value, undefined.low, undefined.why, undefined.n) == (None, None, UNANIMOUS, 9)
    assert pairwise_agreement(said).value == 1.0
    assert pairwise_agreement(said).low is None


def test_who_ties_everything_has_no_tau() -> None:
    tied = [Ranks("p", "a", {"x": 1, "y": 1}), Ranks("p", "b", {"x": 1, "y": 2})]
    tau = kendall_tau_b(confusions(pair_choices(tied), 3))
    assert (tau.value, tau.why) == (None, ALL_TIED)


def test_nothing_in_common_is_said_so() -> None:
    alone = [Choice("p", "u", "a", 0), Choice("q", "v", "b", 1)]
    assert pairwise_agreement(confusions(alone, 2)).why == NOTHING
    assert krippendorff_alpha(units(alone, 2), "ordinal").why == NOTHING
    assert fleiss_kappa(units([], 2)).n == 0


JUDGED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40)


@given(JUDGED)
def test_kappa_and_alpha_do_not_care_who_is_first_or_how_values_are_called(pairs: list[tuple[int, int]]) -> None:
    def said(swap: bool, rename: dict[int, int]) -> list[Choice]:
        return [Choice(str(n), str(n), "ab"[place ^ swap], rename[value]) for n, two in enumerate(pairs) for place, value in enumerate(two)]

    same, other = dict(enumerate(range(4))), {0: 2, 1: 0, 2: 3, 3: 1}
    straight, turned = (said(False, same), said(True, other))
    for measure in (pairwise_agreement, cohen_kappa):
        assert measure(confusions(straight, 4)).value == pytest.approx(measure(confusions(turned, 4)).value)
    alpha = krippendorff_alpha(units(straight, 4), "nominal").value
    assert alpha == pytest.approx(krippendorff_alpha(units(turned, 4), "nominal").value)
    backwards = krippendorff_alpha(units(said(True, {0: 3, 1: 2, 2: 1, 3: 0}), 4), "ordinal").value
    assert krippendorff_alpha(units(straight, 4), "ordinal").value == pytest.approx(backwards)


@given(JUDGED)
def test_against_statsmodels(pairs: list[tuple[int, int]]) -> None:
    raters = pytest.importorskip("statsmodels.stats.inter_rater", reason="no statsmodels in this environment to compare with")
    counts = np.zeros((4, 4))
    for pair in pairs:
        counts[pair] += 1
    choices = [Choice(str(n), str(n), person, value) for n, two in enumerate(pairs) for person, value in zip("ab", two, strict=True)]
    cohen, fleiss = cohen_kappa(confusions(choices, 4)), fleiss_kappa(units(choices, 4))
    if cohen.value is not None:
        assert cohen.value == pytest.approx(raters.cohens_kappa(counts, return_results=False))
    if fleiss.value is not None:
        assert fleiss.value == pytest.approx(raters.fleiss_kappa(units(choices, 4).count_UC))


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=9))
def test_against_scipy(ranks: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats", reason="no scipy in this environment to compare with")
    rankings = [Ranks("p", person, {str(i): two[place] for i, two in enumerate(ranks)}) for place, person in enumerate("ab")]
    tau, theirs = kendall_tau_b(confusions(pair_choices(rankings), 3)).value, stats.kendalltau(*zip(*ranks, strict=True)).statistic
    assert (tau is None) == bool(np.isnan(theirs))
    assert tau is None or tau == pytest.approx(theirs)
