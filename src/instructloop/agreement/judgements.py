"""What people said, in the two shapes that coefficients are counted from.

    confusions   for every prompt and two people: how often one said u where the other said v
    units        for every thing that was judged: how many people said v

A ranking is taken as what it says of each two answers: the first is better, they are equal, the second is better. Only what two
people both judged counts. Who said several things of one thing is taken at their first word.

Legend: N rows of (prompt, two people), U units, C values that can be said, P people, G prompts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FIRST_BETTER, EQUAL, SECOND_BETTER = 0, 1, 2
"""What a ranking says of two answers, the first of which comes first by name."""
NUM_OUTCOMES = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """One person's word on one thing."""

    prompt: str
    """What is drawn again as a whole: judgements about one prompt hang together."""
    unit: str
    """The thing within the prompt: an answer, or two answers that are compared."""
    person: str
    value: int
    """Position among the values that can be said, 0 the first."""


@dataclass(frozen=True)
class Ranks:
    """One person's ranking of answers to one prompt."""

    prompt: str
    person: str
    ranks: Mapping[str, int]
    """Answer -> rank, 1 the best, equal for a tie."""


@dataclass(frozen=True)
class Confusions:
    """Rows of two people on one prompt. In each row the person whose id comes first is the first."""

    people: tuple[str, ...]
    prompt_N: Ints
    pair_N2: Ints
    """Positions of the two people."""
    count_NCC: Floats
    """How often the first said u and the second v."""

    def between(self, first: str, second: str) -> "Confusions":
        """Only the rows of two people."""
        wanted = sorted(self.people.index(person) for person in (first, second))
        return self.where(np.all(self.pair_N2 == wanted, axis=1))

    def where(self, kept_N: NDArray[np.bool_]) -> "Confusions":
        """Only some of the rows."""
        return Confusions(self.people, self.prompt_N[kept_N], self.pair_N2[kept_N], self.count_NCC[kept_N])

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Who has judged something together."""
        return [(self.people[a], self.people[b]) for a, b in np.unique(self.pair_N2, axis=0).tolist()]


@dataclass(frozen=True)
class Units:
    """Things that two people or more have judged."""

    prompt_U: Ints
    count_UC: Floats
    """How many people said each value."""


def pair_choices(rankings: Iterable[Ranks]) -> Iterator[Choice]:
    """What rankings say of each two answers."""
    for ranking in rankings:
        for a, b in combinations(sorted(ranking.ranks), 2):
            ahead, behind = ranking.ranks[a], ranking.ranks[b]
            outcome = EQUAL if ahead == behind else FIRST_BETTER if ahead < behind else SECOND_BETTER
            yield Choice(ranking.prompt, f"{a}\0{b}", ranking.person, outcome)


def confusions(choices: Iterable[Choice], num_values: int) -> Confusions:
    """The rows of every two people on every prompt that both have judged something of."""
    said: dict[tuple[str, str, str], Floats] = {}
    for (prompt, _), words in _by_unit(choices).items():
        for a, b in combinations(sorted(words), 2):
            row = said.setdefault((prompt, a, b), np.zeros((num_values, num_values)))
            row[words[a], words[b]] += 1
    people = tuple(sorted({person for _, *two in said for person in two}))
    place = {person: number for number, person in enumerate(people)}
    prompts = _numbers([prompt for prompt, _, _ in said])
    pairs = np.array([(place[a], place[b]) for _, a, b in said], dtype=np.int64).reshape(-1, 2)
    counts = np.array(list(said.values()), dtype=np.float64).reshape(-1, num_values, num_values)
    return Confusions(people, prompts, pairs, counts)


def units(choices: Iterable[Choice], num_values: int) -> Units:
    """The things that two people or more have judged, in order of their first mention."""
    judged = {key: words for key, words in _by_unit(choices).items() if len(words) > 1}
    counts = np.zeros((len(judged), num_values))
    for row, words in zip(counts, judged.values(), strict=True):
        for value in words.values():
            row[value] += 1
    return Units(_numbers([prompt for prompt, _ in judged]), counts)


def _by_unit(choices: Iterable[Choice]) -> dict[tuple[str, str], dict[str, int]]:
    found: dict[tuple[str, str], dict[str, int]] = {}
    for choice in choices:
        found.setdefault((choice.prompt, choice.unit), {}).setdefault(choice.person, choice.value)
    return found


def _numbers(names: Sequence[str]) -> Ints:
    """The number of each name, in order of first mention."""
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], dtype=np.int64)
