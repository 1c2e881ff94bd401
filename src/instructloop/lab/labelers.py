"""Simulated labelers: they rank answers by what they care about, overlook things, and waver.

Each has weights of his or her own, a chance of noticing each criterion, and noise; close scores are tied. All of it is a
function of labeler, seed, prompt and answer: the same question gets the same reply.

Measured once on 600 prompts of each side with eight answers of demonstrators to each, seed 0, and then left as it is:
two training labelers agree on 0.81 of the pairs that are strict for both, two evaluation labelers on 0.82 (0.80 and 0.81 for
seeds 1 and 2); one labeler ties 0.12 of all pairs, 0.07 of those whose texts differ; strict labels follow the gold score on
0.91 and 0.92 of the pairs that it tells apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Literal, NamedTuple

from instructloop.lab.chance import stream
from instructloop.lab.judge import WEIGHTS, judge, utility

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

FLAGGED: Mapping[str, tuple[str, float, float]] = {
    "fails_task": ("follows", 0.0, 0.0), "inappropriate_for_assistant": ("polite", 0.0, 0.0),
    "hallucination": ("true", 0.0, 0.5), "satisfies_constraint": ("constraints", 1.0, 1.0),
}  # fmt: skip
"""Flags that the small world knows -> the criterion, and between which of its values the flag is set."""

Outcome = Literal["win", "tie", "loss"]


class Rate(NamedTuple):
    """What a labeler says of one answer beside its rank."""

    likert: int
    flags: tuple[str, ...]


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
        return self._opinion(prompt, answer)[1]

    def rate(self, prompt: str, answer: str) -> Rate:
        """The overall quality from 1 to 7, which goes with the score, and the flags of what the labeler has noticed."""
        values, score = self._opinion(prompt, answer)
        flags = [flag for flag, (criterion, least, most) in FLAGGED.items() if least <= values.get(criterion, -1.0) <= most]
        return Rate(min(7, max(1, 1 + round(6 * score * STEP))), tuple(flags))

    def _opinion(self, prompt: str, answer: str) -> tuple[Mapping[str, float], int]:
        """What the labeler thinks of each criterion, and the score."""
        chance = stream(self.seed, self.id, prompt, answer)
        values = {name: value if chance.random() < self.attention[name] else 1.0 for name, value in judge(prompt, answer).values.items()}
        return values, round((utility(values, self.weights) + chance.gauss(0, self.noise)) / STEP)


def labelers(ids: Sequence[str], seed: int) -> list[Labeler]:
    """The labelers of these ids as a seed makes them."""
    return [_labeler(id_, seed) for id_ in ids]


def labeler_of(prompt_id: str, people: Sequence[Labeler], seed: int) -> Labeler:
    """Whose turn it is to rank the answers to a prompt."""
    return stream(seed, "ranking", prompt_id).choice(people)


def compared(first: float, second: float) -> Outcome:
    """win, tie or loss of the first."""
    return "tie" if first == second else "win" if first > second else "loss"


def _labeler(id_: str, seed: int) -> Labeler:
    chance = stream(seed, "labeler", id_)
    weights = {name: weight * exp(chance.gauss(0, SPREAD)) for name, weight in WEIGHTS.items()}
    total = sum(weights.values())
    attention = {name: 1.0 if name == "follows" else chance.uniform(*NOTICED) for name in WEIGHTS}
    return Labeler(id_, seed, {name: weight / total for name, weight in weights.items()}, attention, NOISE * exp(chance.gauss(0, 0.2)))
