"""The judge: reads a prompt and an answer, both as text, and says what is right and wrong with the answer.

Its noise-free utility is the gold score. Nothing else earns credit where the instruction is not followed, so that empty,
copied, mistaken or endless answers score next to nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from instructloop.lab.answers import COURTESIES, Answer, remark
from instructloop.lab.clauses import holds, reason
from instructloop.lab.grammar import parse
from instructloop.lab.tasks import TASKS
from instructloop.lab.world import FACTS, read_fact

WEIGHTS: Mapping[str, float] = {"follows": 2.5, "constraints": 2.0, "true": 2.0, "clean": 1.5, "polite": 0.6}
"""What a criterion counts; those that do not apply to a prompt are left out of the mean."""
GATED = ("constraints", "true", "clean")
"""Criteria that earn credit only as far as the instruction is followed."""
_UNFINISHED = 0.5
_FALSE_ASIDE = 0.5
"""What is left of truth when the answer is right and something false is added."""


@dataclass(frozen=True)
class Verdict:
    """What the judge finds; each value from 0 to 1, None where the criterion does not apply."""

    follows: float
    constraints: float | None
    """The share of explicit constraints that hold."""
    true: float | None
    """In the world or in the given text."""
    clean: float
    """Says nothing that is not part of the answer, does not repeat itself, and ends."""
    polite: float
    failed: tuple[str, ...] = ()
    """The kinds of constraints that do not hold."""
    reasons: tuple[str, ...] = ()
    """What is wrong, in words."""

    @property
    def values(self) -> dict[str, float]:
        """The criteria that apply."""
        found = {name: getattr(self, name) for name in WEIGHTS}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def gold(self) -> float:
        """The noise-free utility, from 0 to 1."""
        return utility(self.values, WEIGHTS)


def utility(values: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Σ weight · credit / Σ weight over the criteria that apply; credit is the value, for gated ones times `follows`."""
    credit = {name: value * values["follows"] if name in GATED else value for name, value in values.items()}
    return sum(weights[name] * credit[name] for name in credit) / sum(weights[name] for name in credit)


@lru_cache(maxsize=65536)
def judge(prompt: str, answer: str) -> Verdict:
    """The verdict on an answer; raises `DataError` for a prompt that is none of the small world's."""
    ask, given = parse(prompt), Answer(answer)
    task = TASKS[ask.task]
    if not given.words:
        return Verdict(0.0, 0.0 if ask.clauses else None, 0.0 if task.factual else None, 0.0, 0.0, ask.kinds, ("says nothing",))
    reading = task.read(ask, given)
    strays = {stray: wrong for stray, wrong in reading.strays.items() if stray not in COURTESIES}
    follows = reading.follows * min(1.0, 2 / (len(strays) + 1))
    failed = [clause for clause in ask.clauses if not holds(clause, ask, given)]
    lies = [sentence for sentence in strays if _is_lie(sentence)]
    strays |= {lie: f"adds what is not true: {lie}" for lie in lies}
    untidy = _untidiness(given, strays, task.longest)
    reasons = [*(["does not do what was asked"] if follows == 0 else []), *reading.reasons, *(reason(clause, ask, given) for clause in failed)]
    return Verdict(
        follows=follows,
        constraints=1 - len(failed) / len(ask.clauses) if ask.clauses else None,
        true=(reading.true or 0.0) * (_FALSE_ASIDE if lies else 1.0) if task.factual else None,
        clean=min((value for value, _ in untidy), default=1.0),
        polite=float(not given.rude),
        failed=tuple(clause.kind for clause in failed),
        reasons=tuple(dict.fromkeys([*reasons, *(text for _, text in untidy)])),
    )


def gold(prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
    """The noise-free utility of each answer: a `protocols.Scorer` that is never wrong."""
    return [judge(prompt, answer).gold for prompt, answer in zip(prompts, answers, strict=True)]


def _untidiness(given: Answer, strays: Mapping[str, str], longest: int) -> list[tuple[float, str]]:
    """What is not clean about an answer: the value that is left, and the reason."""
    found = [(0.0, wrong or remark(stray) or f'adds "{_shortened(stray)}"') for stray, wrong in strays.items()]
    last = given.sentences[-1]
    if list(strays) == [last] and last[-1] not in '.!?"':
        found = [(_UNFINISHED, "stops in the middle of a sentence")]
    if given.repeats:
        found.append((0.0, "repeats itself"))
    if len(given.sentences) > longest:
        found.append((0.0, "goes on for too long"))
    return found


def _is_lie(sentence: str) -> bool:
    fact = read_fact(sentence)
    return fact is not None and FACTS[fact[0], fact[1]] != fact[2]


def _shortened(sentence: str, most: int = 60) -> str:
    return sentence if len(sentence) <= most else f"{sentence[: most - 1]}…"
