"""Beam search against the enumeration of every answer, and against transformers' beams."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from instructloop.errors import ConfigError
from instructloop.protocols import Generated, Sampling
from instructloop.rollout.beam import beam_search, score
from instructloop.rollout.engine import LocalEngine
from tiny_models import PAD_ID, tiny

VOCAB, LENGTH = 5, 4
SMALL_POLICY = tiny("gpt_neox", vocab=VOCAB)
SMALL = LocalEngine(SMALL_POLICY, pad_id=PAD_ID)
POLICY = tiny("gpt_neox", vocab=96)


def every_answer(prompt: list[int], stop_ids: frozenset[int]) -> list[Generated]:
    """All answers there are: every sequence that ends at its first stop id, or at the cap without one."""
    going = [id_ for id_ in range(VOCAB) if id_ not in stop_ids]
    answers = [((*start, end), "stop") for r in range(LENGTH) for start in product(going, repeat=r) for end in sorted(stop_ids)]
    answers += [(ids, "length") for ids in product(going, repeat=LENGTH)]
    tokens_BT = torch.tensor([[*prompt, *ids, *[0] * (LENGTH - len(ids))] for ids, _ in answers])
    with torch.no_grad():
        logp_BTV = SMALL_POLICY(input_ids=tokens_BT, use_cache=False).logits.log_softmax(-1)[:, len(prompt) - 1 : -1]
    logp_BT = logp_BTV.gather(-1, tokens_BT[:, len(prompt) :, None]).squeeze(-1).tolist()
    return [Generated(ids, tuple(logp[: len(ids)]), reason) for (ids, reason), logp in zip(answers, logp_BT, strict=True)]


@settings(max_examples=20)
@given(
    prompt=st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=4),
    stop_ids=st.frozensets(st.integers(0, VOCAB - 1), max_size=3),
    length_penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0, -0.5]),
    num_answers=st.integers(1, 8),
)
def test_a_width_that_covers_everything_finds_the_exact_best(
    prompt: list[int], stop_ids: frozenset[int], length_penalty: float, num_answers: int
) -> None:
    options = {"length_penalty": length_penalty, "max_new_tokens": LENGTH, "stop_ids": stop_ids}
    found = beam_search(SMALL, prompt, width=VOCAB**LENGTH, num_answers=num_answers, **options)
    best = sorted(every_answer(prompt, stop_ids), key=lambda answer: -score(answer, length_penalty))[:num_answers]
    assert [(answer.ids, answer.finish_reason) for answer in found] == [(answer.ids, answer.finish_reason) for answer in best]
    for ours, theirs in zip(found, best, strict=True):
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-9)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("width", [2, 3, 6])
@pytest.mark.parametrize(("prompt", "stop_ids"), [([7, 3, 9], [0]), ([80, 81], list(range(0, 96, 3))), ([33, 44, 55], list(range(0, 96, 3)))])
def test_beams_are_those_of_transformers(width: int, length_penalty: float, prompt: list[int], stop_ids: list[int]) -> None:
    """Where the semantics agree: `early_stopping="never"` looks on until nothing can improve, and so do we."""
    engine = LocalEngine(POLICY, pad_id=PAD_ID)
    options = {"num_beams": width, "num_return_sequences": width, "do_sample": False, "early_stopping": "never", "length_penalty": length_penalty}
    tokens_1T = torch.tensor([prompt])
    expected = POLICY.generate(
        tokens_1T, attention_mask=torch.ones_like(tokens_1T), max_new_tokens=12, eos_token_id=stop_ids, pad_token_id=PAD_ID, **options
    )
    found = beam_search(
        engine, prompt, width=width, num_answers=width, length_penalty=length_penalty, max_new_tokens=12, stop_ids=frozenset(stop_ids)
    )
    assert [answer.ids for answer in found] == [cut(row[len(prompt) :], stop_ids) for row in expected.tolist()]


def test_one_beam_without_penalty_is_greedy() -> None:
    engine, stop_ids = LocalEngine(POLICY, pad_id=PAD_ID), frozenset(range(0, 96, 9))
    for prompt in ([7, 3, 9], [5], [1, 2], [80, 81]):
        greedy = engine.generate([prompt], Sampling(max_new_tokens=12, temperature=0.0, stop_ids=stop_ids), [0])[0]
        found = beam_search(engine, prompt, width=1, length_penalty=0.0, max_new_tokens=12, stop_ids=stop_ids)
        assert [answer.ids for answer in found] == [greedy.ids]


def cut(ids: list[int], stop_ids: list[int]) -> tuple[int, ...]:
    end = next((place for place, id_ in enumerate(ids, start=1) if id_ in stop_ids), len(ids))
    return tuple(ids[:end])


@pytest.mark.parametrize("architecture", ["gpt2", "qwen3"])
def test_reported_logprobs_are_those_of_the_engine(architecture: str) -> None:
    engine = LocalEngine(tiny(architecture, vocab=96), pad_id=PAD_ID)
    found = beam_search(engine, [5, 6, 7], width=5, num_answers=5, max_new_tokens=10, stop_ids=frozenset({0, 11, 30}))
    again = engine.logprobs([[5, 6, 7]] * 5, [answer.ids for answer in found])
    assert len({answer.ids for answer in found}) == 5
    for answer, logprobs in zip(found, again, strict=True):
        assert answer.logprobs == pytest.approx(logprobs, abs=1e-9)


def test_more_answers_than_beams_are_refused() -> None:
    with pytest.raises(ConfigError, match="4 answers from a beam of width 3"):
        beam_search(SMALL, [1], width=3, num_answers=4, max_new_tokens=2)
