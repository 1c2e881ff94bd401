"""K distinct answers to one prompt, sampled: what people are given to rank."""

from collections.abc import Sequence
from dataclasses import dataclass

from instructloop.errors import ConfigError
from instructloop.protocols import Engine, Generated, Sampling


@dataclass(frozen=True)
class DistinctAnswers:
    """The answers found, in the order sampled, and how many were sampled for them."""

    answers: tuple[Generated, ...]
    sampled: int


def distinct_answers(engine: Engine, prompt: Sequence[int], k: int, sampling: Sampling, seeds: Sequence[int]) -> DistinctAnswers:
    """Sample with `seeds` in order until `k` answers differ, or the seeds are used up: then there are fewer than `k`.

    Two answers are the same if their ids are, a final stop id aside.
    """
    if not 1 <= k <= len(seeds):
        raise ConfigError(f"{k} answers from {len(seeds)} seeds", expected="at least one answer, and a seed for each", remedy="give more seeds")
    if sampling.temperature == 0 and k > 1:
        raise ConfigError(f"{k} distinct answers at temperature 0", expected="a temperature above 0", remedy="sample, or use beam search")
    found: dict[tuple[int, ...], Generated] = {}
    sampled = 0
    while len(found) < k and sampled < len(seeds):
        tries = seeds[sampled : sampled + k - len(found)]
        for answer in engine.generate([prompt] * len(tries), sampling, tries):
            found.setdefault(_without_stop(answer), answer)
        sampled += len(tries)
    return DistinctAnswers(tuple(found.values()), sampled)


def _without_stop(answer: Generated) -> tuple[int, ...]:
    return answer.ids[:-1] if answer.finish_reason == "stop" else answer.ids
