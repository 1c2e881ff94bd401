"""K distinct answers: distinct, in the order of their seeds, and honest about too few."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from instructloop.errors import ConfigError
from instructloop.protocols import Generated, Sampling
from instructloop.rollout.answers import distinct_answers
from instructloop.rollout.engine import LocalEngine
from tiny_models import PAD_ID, tiny

SAMPLING = Sampling(max_new_tokens=6, stop_ids=frozenset({0}))


class SixSided:
    """An engine whose answer is the seed modulo six; it ends by a stop id where the seed is odd."""

    version = 0

    def load(self, state: Mapping[str, Any], version: int) -> None: ...

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]) -> list[Generated]:
        ends = {True: ((0,), "stop"), False: ((), "length")}
        return [Generated((seed % 6 + 1, *ends[seed % 2 == 1][0]), (), ends[seed % 2 == 1][1]) for seed in seeds]

    def logprobs(self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], temperature: float = 1.0) -> list[list[float]]:
        return []


def test_repeated_answers_are_sampled_again() -> None:
    found = distinct_answers(SixSided(), [1], 4, SAMPLING, [3, 9, 3, 2, 8, 15, 4, 4, 5, 0])
    assert [answer.ids[0] for answer in found.answers] == [4, 3, 5, 6]
    assert found.sampled == 9


def test_too_few_are_reported_and_not_made_up() -> None:
    found = distinct_answers(SixSided(), [1], 4, SAMPLING, [3, 9, 3, 9, 2])
    assert [answer.ids[0] for answer in found.answers] == [4, 3]
    assert found.sampled == 5


def test_a_stop_id_alone_makes_no_other_answer() -> None:
    engine = LocalEngine(tiny("gpt2", vocab=8), pad_id=PAD_ID)
    found = distinct_answers(engine, [3, 4], 5, Sampling(max_new_tokens=2, stop_ids=frozenset({0})), range(200))
    texts = [tuple(id_ for id_ in answer.ids if id_ != 0) for answer in found.answers]
    assert len(set(texts)) == len(texts) == 5


def test_greedy_or_too_few_seeds_are_refused() -> None:
    with pytest.raises(ConfigError, match="temperature 0"):
        distinct_answers(SixSided(), [1], 2, Sampling(max_new_tokens=2, temperature=0.0), [1, 2])
    with pytest.raises(ConfigError, match="3 answers from 2 seeds"):
        distinct_answers(SixSided(), [1], 3, SAMPLING, [1, 2])
