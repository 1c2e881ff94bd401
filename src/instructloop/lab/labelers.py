"""Simulated labelers: they rank answers by what they care about, overlook things, and waver.

Each has weights of his or her own, a chance of noticing each criterion, and noise; close scores are tied. All of it is a
function of labeler, seed, prompt and answer: the same question gets the same reply.

Measured once on 600 prompts of each side with eight answers of demonstrators to each, seed 0, and then left as it is:
two training labelers agree on 0.81 of the pairs that are strict for both, two evaluation labelers on 0.82 (0.80 and 0.81 for
seeds 1 and 2); one labeler ties 0.12 of all pairs, 0.07 of those whose texts differ; strict labels follow the gold score on
0.91 and 0.92 of the pairs that it tells apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Literal

from instructloop.lab.chance import stream
from instructloop.lab.judge import WEIGHTS, judge, utility
from instructloop.lab.prompts import ORIGIN
from instructloop.records import AnswerSet, Provenance, Ranking

SPREAD = 0.35
"""Standard deviation of the logarithm of a personal weight."""
NOISE = 0.18
"""Standard deviation of the wavering, of a labeler without habits."""
STEP = 0.1
"""Scores are rounded to this; what is equal then is tied."""
NOTICED = (0.85, 1.0)
"""Between which chances of noticing a criterion labelers lie. Whether the instruction is followed is always noticed."""
TRAINING_LABELERS = tuple(f"simulated-labeler-{number:02d}" for number in range(1, 11))
EVALUATION_LABELERS = tuple(f"simulated-labeler-{number:02d}" for number in range(11, 17))

Outcome = Literal["win", "tie", "loss"]


@dataclass(frozen=True)
class Labeler:
    """One simulated person, and a `protocols.Judge`."""

    id: str
    seed: int
    weights: Mapping[str, float]
    attention: Mapping[str, float]
    noise: float

    def __call__(self, prompt: str, answers: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """The answers' positions in groups from best to worst, equal within a group."""
        scores = [self.score(prompt, answer) for answer in answers]
        return tuple(tuple(place for place, score in enumerate(scores) if score == level) for level in sorted(set(scores), reverse=True))

    def judge_pair(self, prompt: str, first: str, second: str) -> Outcome:
        """Whether the first of two answers is the better one."""
        return compared(self.score(prompt, first), self.score(prompt, second))

    def score(self, prompt: str, answer: str) -> int:
        """How much the labeler likes the answer, in steps."""
        chance = stream(self.seed, self.id, prompt, answer)
        values = {name: value if chance.random() < self.attention[name] else 1.0 for name, value in judge(prompt, answer).values.items()}
        return round((utility(values, self.weights) + chance.gauss(0, self.noise)) / STEP)


def labelers(ids: Sequence[str], seed: int) -> list[Labeler]:
    """The labelers of these ids as a seed makes them."""
    return [_labeler(id_, seed) for id_ in ids]


def rank(answer_sets: Iterable[AnswerSet], people: Sequence[Labeler], seed: int) -> list[Ranking]:
    """One ranking of each answer set, by a labeler drawn for it."""
    return [_ranking(answers, stream(seed, "ranking", answers.prompt.id).choice(people)) for answers in answer_sets]


def compared(first: float, second: float) -> Outcome:
    """win, tie or loss of the first."""
    return "tie" if first == second else "win" if first > second else "loss"


def _labeler(id_: str, seed: int) -> Labeler:
    chance = stream(seed, "labeler", id_)
    weights = {name: weight * exp(chance.gauss(0, SPREAD)) for name, weight in WEIGHTS.items()}
    total = sum(weights.values())
    attention = {name: 1.0 if name == "follows" else chance.uniform(*NOTICED) for name in WEIGHTS}
    return Labeler(id_, seed, {name: weight / total for name, weight in weights.items()}, attention, NOISE * exp(chance.gauss(0, 0.2)))


def _ranking(answers: AnswerSet, labeler: Labeler) -> Ranking:
    groups = labeler(answers.prompt.text, [completion.text for completion in answers.completions])
    ids = [completion.id for completion in answers.completions]
    return Ranking(
        prompt=answers.prompt,
        completions=answers.completions,
        groups=tuple(tuple(ids[place] for place in group) for group in groups),
        labeler_id=labeler.id,
        provenance=Provenance(who=labeler.id, origin=ORIGIN),
    )
