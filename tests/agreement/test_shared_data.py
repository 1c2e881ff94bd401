"""Agreement in real files of several people, against the figures that their README states."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from instructloop.agreement.coefficients import cohen_kappa, fleiss_kappa, krippendorff_alpha, pairwise_agreement
from instructloop.agreement.judgements import Choice, Ranks, confusions, pair_choices, units
from instructloop.store.jsonl import read_jsonl
from shared_data import SHARED, needs_shared

pytestmark = needs_shared


def rows(name: str) -> Iterator[dict[str, Any]]:
    return (row for _, row in read_jsonl(SHARED / f"{name}.jsonl.gz"))


def test_machine_translation_ranked_by_218_judges() -> None:
    """A judge's first rank of a system counts; 140,266 cases, 0.5276 the same, κ 0.2512."""
    ranks: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows("annotator_ranks_wmt13"):
        for system, rank in zip(row["systems"], row["ranks"], strict=True):
            ranks.setdefault((row["id"], row["annotator"]), {}).setdefault(system, rank)
    said = confusions(pair_choices(Ranks(segment, judge, one) for (segment, judge), one in ranks.items()), 3)
    agreement, kappa = pairwise_agreement(said), cohen_kappa(said)
    assert (agreement.n, kappa.n) == (140_266, 140_266)
    assert agreement.value == pytest.approx(0.5276, abs=5e-5)
    assert kappa.value == pytest.approx(0.2512, abs=5e-5)
    assert agreement.low is not None
    assert 0 < agreement.value - agreement.low < 0.02


def test_summaries_ranked_by_three_reviewers_each() -> None:
    """540 cases, 0.8667 the same, κ 0.3152."""
    ranked = [row for row in rows("kwise_ranks") if row["source"] == "squality-human-eval"]
    rankings = [Ranks(question_of(row), row["annotator"], dict(zip(row["systems"], row["ranks"], strict=True))) for row in ranked]
    said = confusions(pair_choices(rankings), 3)
    assert pairwise_agreement(said).n == 540
    assert pairwise_agreement(said).value == pytest.approx(0.8667, abs=5e-5)
    assert cohen_kappa(said).value == pytest.approx(0.3152, abs=5e-5)


def question_of(row: dict[str, Any]) -> str:
    return f"{row['prompt']}\0{row['context']}"


def test_bias_types_of_five_people() -> None:
    """The same label in 10,464 of 15,080 cases; Fleiss' κ 0.6337 with no label as a value."""
    values: dict[str, int] = {}
    choices = []
    for place, row in enumerate(rows("annotator_labels_crows")):
        value = values.setdefault("|".join(row["labels"]), len(values))
        choices.append(Choice(row["id"], row["id"], f"{place % 5}", value))
    judged = units(choices, len(values))
    agreement = pairwise_agreement(confusions(choices, len(values)))
    assert (round(agreement.value * agreement.n), agreement.n) == (10_464, 15_080)
    assert fleiss_kappa(judged).value == pytest.approx(0.6337, abs=5e-5)
    assert fleiss_kappa(judged).n == 1_508


def test_pairs_judged_by_three_people() -> None:
    """Cohen's κ (raw): 1-2 0.9518 (0.970), 1-3 0.9596 (0.975), 2-3 0.9434 (0.965); Fleiss' κ 0.9516."""
    choices = [Choice(row["id"], row["id"], row["annotator"], row["label"]) for row in rows("annotator_pairs_sample")]
    said = confusions(choices, 3)
    people = sorted({choice.person for choice in choices})
    between = [said.between(*two) for two in combinations(people, 2)]
    assert [pairwise_agreement(two).value for two in between] == [pytest.approx(raw) for raw in (0.970, 0.975, 0.965)]
    assert [cohen_kappa(two).value for two in between] == [pytest.approx(kappa, abs=5e-5) for kappa in (0.9518, 0.9596, 0.9434)]
    judged = units(choices, 3)
    assert fleiss_kappa(judged).value == pytest.approx(0.9516, abs=5e-5)
    alpha = krippendorff_alpha(judged, "nominal").value
    assert alpha == pytest.approx(1 - (1 - fleiss_kappa(judged).value) * (600 - 1) / 600, abs=1e-6), "α of complete data is κ for a finite sample"
