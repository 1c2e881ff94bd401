"""Laws B1 and B3: where answers end, why, and one mask that says so."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instructloop.protocols import Generated, Sampling
from instructloop.rollout.batch import assemble
from instructloop.rollout.engine import LocalEngine, cut_at_stop
from tiny_models import PAD_ID, tiny

VOCAB = 96
PROMPTS = [[7, 3, 9], [5], [11, 60, 3, 4, 8, 2, 90, 33], [44, 12]]
ENGINE = LocalEngine(tiny("gpt_neox", vocab=VOCAB), pad_id=PAD_ID, slots=3)


@pytest.mark.parametrize("stop_ids", [frozenset(), frozenset({4}), frozenset(range(20, 40)), frozenset(range(VOCAB))])
def test_b3_an_answer_ends_at_its_first_stop_id_or_at_the_cap(stop_ids: frozenset[int]) -> None:
    free = ENGINE.generate(PROMPTS, Sampling(max_new_tokens=12), [1, 2, 3, 4])
    answers = ENGINE.generate(PROMPTS, Sampling(max_new_tokens=12, stop_ids=stop_ids), [1, 2, 3, 4])
    for whole, answer in zip(free, answers, strict=True):
        ends = [place for place, id_ in enumerate(whole.ids) if id_ in stop_ids]
        assert answer.ids == whole.ids[: ends[0] + 1 if ends else 12]
        assert answer.finish_reason == ("stop" if ends else "length")
        assert len(answer.logprobs) == len(answer.ids)


def test_b3_a_stop_id_sampled_as_the_last_token_allowed_is_an_end() -> None:
    free = ENGINE.generate(PROMPTS, Sampling(max_new_tokens=5), [1, 2, 3, 4])[0]
    stop = frozenset({free.ids[4]} - set(free.ids[:4]))
    assert stop
    assert ENGINE.generate(PROMPTS, Sampling(max_new_tokens=5, stop_ids=stop), [1, 2, 3, 4])[0].finish_reason == "stop"


def test_b1_the_mask_is_true_exactly_on_sampled_tokens() -> None:
    generated = [Generated((8, 0), (-1.0, -2.0), "stop"), Generated((1, 1, 1), (-0.5, -0.25, -4.0), "length"), Generated((0,), (-3.0,), "stop")]
    rollout = assemble([[5, 6], [7], [9, 9, 9]], generated, pad_id=1)
    assert rollout.tokens_BT.tolist() == [[5, 6, 8, 0], [7, 1, 1, 1], [9, 9, 9, 0]]
    assert rollout.prompt_length_B.tolist() == [2, 1, 3]
    assert rollout.mask_BR.tolist() == [[True, True, False], [True, True, True], [True, False, False]]
    assert rollout.ended_B.tolist() == [True, False, True]
    assert rollout.engine_logp_BR.tolist() == [[-1.0, -2.0, 0.0], [-0.5, -0.25, -4.0], [-3.0, 0.0, 0.0]]


@given(answers=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=1, max_size=5), stop=st.integers(0, 9))
def test_b1_b3_cut_and_assembled(answers: list[list[int]], stop: int) -> None:
    generated = [cut_at_stop(ids, [-1.0] * len(ids), frozenset({stop})) for ids in answers]
    rollout = assemble([[3]] * len(answers), generated, pad_id=stop)
    for row, ids in enumerate(answers):
        length = ids.index(stop) + 1 if stop in ids else len(ids)
        assert rollout.mask_BR[row].sum() == length
        assert rollout.mask_BR[row, :length].all()
        assert bool(rollout.ended_B[row]) == (stop in ids)
        assert not torch.any(rollout.engine_logp_BR[row][~rollout.mask_BR[row]])
