"""Whether the labels of a queue can be trusted: how far people agree, with one another, with known answers, and with themselves.

Counts what the store says by the formulas of `instructloop.agreement`, which bring NumPy: they are imported when a page asks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from instructloop.records import FLAGS
from instructloop.store.database.judgements import GOLD, Judgement, judgements, known_answers
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import Account

if TYPE_CHECKING:
    from instructloop.agreement.estimates import Estimate
    from instructloop.agreement.judgements import Choice, Confusions

LIKERT = 7
MOST_PAIRS = 100
"""Pairs of labelers whose own figures are shown, those with most cases first."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two labelers."""

    first: str
    second: str
    agreement: "Estimate"
    kappa: "Estimate"
    tau: "Estimate"


@dataclass(frozen=True, kw_only=True)
class Trust:
    """All figures of one queue. Person ids, not names."""

    headline: "Estimate"
    """Pairwise agreement, labelers drawn again too."""
    coefficients: Mapping[str, "Estimate"]
    """untied, cohen, fleiss, alpha, tau, likert."""
    flags: Mapping[str, "Estimate"]
    """Flag -> Krippendorff's alpha."""
    pairs: Sequence[Pair]
    weeks: Sequence[tuple[str, "Estimate"]]
    """Monday of each week, and the agreement on tasks first labeled in it."""
    with_known: Mapping[str, "Estimate"]
    """Person -> agreement with the known answers of gold tasks."""
    with_self: "Estimate"
    """Agreement of what people say when a task comes again."""
    people: int


def trust_in(store: Store, me: Account, queue_id: str) -> Trust:
    """The figures of a queue whose tasks are rankings or evaluations. For those who read everything."""
    from instructloop.agreement import coefficients as count
    from instructloop.agreement.judgements import NUM_OUTCOMES, units

    said = judgements(store, me, queue_id)
    ordinary = [one for one in said if one.purpose == "label"]
    compared = list(_comparisons(ordinary))
    table, judged = _confusions(ordinary), units(compared, NUM_OUTCOMES)
    return Trust(
        headline=count.pairwise_agreement(table, labelers_too=True),
        coefficients={
            "untied": count.untied_agreement(table),
            "cohen": count.cohen_kappa(table),
            "fleiss": count.fleiss_kappa(judged),
            "alpha": count.krippendorff_alpha(judged, "nominal"),
            "tau": count.kendall_tau_b(table),
            "likert": count.krippendorff_alpha(units(_likerts(ordinary), LIKERT), "ordinal"),
        },
        flags={flag: count.krippendorff_alpha(units(_flagged(ordinary, flag), 2), "nominal") for flag in FLAGS} if ordinary else {},
        pairs=_pairs(table),
        weeks=[(week, count.pairwise_agreement(_confusions(some))) for week, some in _by_week(ordinary)],
        with_known=known_agreement(store, me, queue_id, said),
        with_self=_self_agreement(said),
        people=len({one.person for one in ordinary}),
    )


def known_agreement(store: Store, me: Account, queue_id: str, said: Sequence[Judgement]) -> dict[str, "Estimate"]:
    """Person -> agreement with the known answers to the gold tasks that they were given."""
    from instructloop.agreement.coefficients import pairwise_agreement

    known = known_answers(store, me, queue_id)
    on_gold = [one for one in said if one.purpose == "gold"]
    table = _confusions([*on_gold, *known])
    return {person: pairwise_agreement(table.between(GOLD, person)) for person in sorted({one.person for one in on_gold})}


def headlines(store: Store, me: Account, queue_ids: Iterable[str]) -> dict[str, "Estimate"]:
    """Queue -> pairwise agreement, for an overview."""
    from instructloop.agreement.coefficients import pairwise_agreement

    found: dict[str, Estimate] = {}
    for queue_id in queue_ids:
        ordinary = [one for one in judgements(store, me, queue_id) if one.purpose == "label"]
        found[queue_id] = pairwise_agreement(_confusions(ordinary), labelers_too=True)
    return found


def _comparisons(said: Iterable[Judgement], *, person: str | None = None) -> "Iterable[Choice]":
    from instructloop.agreement.judgements import Ranks, pair_choices

    return pair_choices(Ranks(one.prompt_id, person or one.person, one.ranks) for one in said)


def _confusions(said: Iterable[Judgement]) -> "Confusions":
    from instructloop.agreement.judgements import NUM_OUTCOMES, confusions

    return confusions(_comparisons(said), NUM_OUTCOMES)


def _likerts(said: Iterable[Judgement]) -> "Iterable[Choice]":
    from instructloop.agreement.judgements import Choice

    for one in said:
        for answer, rating in one.ratings.items():
            yield Choice(one.prompt_id, answer, one.person, rating["likert"] - 1)


def _flagged(said: Iterable[Judgement], flag: str) -> "Iterable[Choice]":
    from instructloop.agreement.judgements import Choice

    for one in said:
        for answer, rating in one.ratings.items():
            yield Choice(one.prompt_id, answer, one.person, int(flag in rating["flags"]))


def _pairs(table: "Confusions") -> list[Pair]:
    from instructloop.agreement.coefficients import cohen_kappa, kendall_tau_b, pairwise_agreement

    between = [(two, table.between(*two)) for two in table.pairs]
    between.sort(key=lambda pair: -pair[1].count_NCC.sum())
    return [
        Pair(first=first, second=second, agreement=pairwise_agreement(two), kappa=cohen_kappa(two), tau=kendall_tau_b(two))
        for (first, second), two in between[:MOST_PAIRS]
    ]


def _by_week(said: Sequence[Judgement]) -> list[tuple[str, list[Judgement]]]:
    """Judgements by the week in which their task was first labeled: both halves of a comparison stay together."""
    first: dict[str, datetime] = {}
    for one in said:
        first.setdefault(one.task_id, one.at)
    ordered = sorted(said, key=lambda one: first[one.task_id])
    return [(week, list(some)) for week, some in groupby(ordered, key=lambda one: _monday(first[one.task_id]))]


def _monday(at: datetime) -> str:
    return f"{(at - timedelta(days=at.weekday())).date():%Y-%m-%d}"


def _self_agreement(said: Sequence[Judgement]) -> "Estimate":
    """Each person is two: what they said first, and what they said when the task came again."""
    from instructloop.agreement.coefficients import pairwise_agreement
    from instructloop.agreement.judgements import NUM_OUTCOMES, Choice, confusions

    again = {(one.person, one.task_id) for one in said if one.purpose == "repeat"}
    twice = [one for one in said if (one.person, one.task_id) in again and one.purpose in ("label", "repeat")]
    words = [Choice(choice.prompt, f"{one.person}\0{choice.unit}", one.purpose, choice.value) for one in twice for choice in _comparisons([one])]
    return pairwise_agreement(confusions(words, NUM_OUTCOMES))
