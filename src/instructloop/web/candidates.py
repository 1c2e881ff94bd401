"""How candidates did in the tests of a screening, against the cut-offs of the paper's B.1. The cut-offs are soft: people decide."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from instructloop.store.database.accounts import list_accounts
from instructloop.store.database.judgements import judgements
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import Account
from instructloop.store.database.screening import Screening, SelfAssessment, ratings_of, self_assessments, speech_words

if TYPE_CHECKING:
    from instructloop.agreement.estimates import Estimate
    from instructloop.agreement.judgements import Choice, Confusions

SPEECH_CUT, RANKING_CUT, WRITING_CUT = 0.75, 0.75, 6.0
"""Paper B.1: 75 % agreement on speech and on rankings, a mean of 6 of 7 for demonstrations."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One candidate."""

    person: Account
    speech: "Estimate"
    ranking: "Estimate"
    writing: "Estimate"
    themselves: SelfAssessment | None

    @property
    def reached(self) -> int:
        """How many of the three cut-offs are reached."""
        pairs = ((self.speech, SPEECH_CUT), (self.ranking, RANKING_CUT), (self.writing, WRITING_CUT))
        return sum(one.value is not None and one.value >= cut for one, cut in pairs)


def sheets(store: Store, me: Account, screening: Screening) -> list[Sheet]:
    """Every labeler who has taken a test or assessed themselves, by name. For those who read everything."""
    people = list_accounts(store, me)
    researchers = {one.id for one in people if one.role in ("researcher", "lead", "administrator")}
    speech = _by_speech(store, me, screening.speech_queue, researchers)
    ranking = _by_ranking(store, me, screening.ranking_queue, researchers)
    writing = _by_writing(store, me, screening.writing_queue)
    themselves, nothing = self_assessments(store, me), _nothing()
    return [
        Sheet(
            person=one, speech=speech.get(one.id, nothing), ranking=ranking.get(one.id, nothing), writing=writing.get(one.id, nothing),
            themselves=themselves.get(one.id),
        )
        for one in people
        if one.role == "labeler" and one.id in {*speech, *ranking, *writing, *themselves}
    ]  # fmt: skip


def _by_speech(store: Store, me: Account, queue_id: str | None, researchers: Collection[str]) -> "dict[str, Estimate]":
    """Share of texts on which a candidate and a researcher both say sensitive, or both say not, over all researchers."""
    from instructloop.agreement.judgements import Choice

    said = [] if queue_id is None else speech_words(store, me, queue_id)
    return _agreement((Choice(one.prompt_id, one.unit, one.person, int(one.sensitive)) for one in said), 2, researchers)


def _by_ranking(store: Store, me: Account, queue_id: str | None, researchers: Collection[str]) -> "dict[str, Estimate]":
    """Pairwise agreement with the researchers: better, equal or worse, over all of them."""
    from instructloop.agreement.judgements import NUM_OUTCOMES, Ranks, pair_choices

    said = [] if queue_id is None else judgements(store, me, queue_id)
    ranked = pair_choices(Ranks(one.prompt_id, one.person, one.ranks) for one in said if one.purpose != "repeat")
    return _agreement(ranked, NUM_OUTCOMES, researchers)


def _by_writing(store: Store, me: Account, queue_id: str | None) -> "dict[str, Estimate]":
    """The mean of all ratings of a candidate's demonstrations; demonstrations are drawn again for the interval."""
    import numpy as np

    from instructloop.agreement.estimates import Rows, estimate

    given: dict[str, dict[str, list[int]]] = {}
    for person, submission, likert in [] if queue_id is None else ratings_of(store, me, queue_id):
        given.setdefault(person, {}).setdefault(submission, []).append(likert)
    found: dict[str, Estimate] = {}
    for person, demonstrations in given.items():
        table = np.array([(sum(ratings), len(ratings)) for ratings in demonstrations.values()], dtype=np.float64)
        rows = Rows(table, np.arange(len(table)))
        found[person] = estimate(rows, lambda sums: sums[:, 0] / sums[:, 1], n=int(table[:, 1].sum()))
    return found


def _agreement(choices: "Iterable[Choice]", num_values: int, researchers: Collection[str]) -> "dict[str, Estimate]":
    """Candidate -> agreement with every researcher who judged the same, each pair a case."""
    from instructloop.agreement.coefficients import pairwise_agreement
    from instructloop.agreement.judgements import confusions

    table = confusions(choices, num_values)
    candidates = [one for one in table.people if one not in researchers]
    return {one: pairwise_agreement(_with_researchers(table, one, researchers)) for one in candidates}


def _with_researchers(table: "Confusions", candidate: str, researchers: Collection[str]) -> "Confusions":
    import numpy as np

    number = table.people.index(candidate)
    trusted = np.array([person in researchers for person in table.people])
    first, second = table.pair_N2[:, 0], table.pair_N2[:, 1]
    return table.where(((first == number) & trusted[second]) | ((second == number) & trusted[first]))


def _nothing() -> "Estimate":
    from instructloop.agreement.estimates import NOTHING, Estimate

    return Estimate(value=None, n=0, prompts=0, why=NOTHING)
