"""Choosing a token: the right frequencies, never an impossible token, and the log-probability of what was drawn."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from instructloop.protocols import Sampling
from instructloop.rollout.sampling import choose, token_logprobs, uniforms

FREE = Sampling(max_new_tokens=1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_an_even_grid_of_uniforms_gives_each_token_its_probability(dtype: torch.dtype) -> None:
    probability_V = torch.tensor([0.5, 0.0, 0.25, 0.125, 0.0, 0.125])
    count = 8000
    logits_BV = probability_V.log().to(dtype).expand(count, -1)
    id_B, logp_B = choose(logits_BV, (torch.arange(count, dtype=torch.float64) + 0.5) / count, FREE)
    assert torch.bincount(id_B, minlength=6).sub(probability_V * count).abs().max() <= (1 if dtype != torch.bfloat16 else 40)
    assert logp_B.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


@given(uniform=st.sampled_from([0.0, 5e-324, 0.5, 1 - 2**-53]), impossible=st.sets(st.integers(0, 9), max_size=9))
def test_a_token_of_probability_zero_is_never_drawn(uniform: float, impossible: set[int]) -> None:
    logits_BV = torch.randn(1, 10)
    logits_BV[:, list(impossible)] = -torch.inf
    id_B, logp_B = choose(logits_BV, torch.tensor([uniform], dtype=torch.float64), FREE)
    assert int(id_B) not in impossible
    assert math.isfinite(float(logp_B))


def test_logprobs_are_taken_in_float32_of_16_bit_logits() -> None:
    logits_BV = (5 * torch.randn(64, 500)).bfloat16()
    id_B, logp_B = choose(logits_BV, torch.rand(64, dtype=torch.float64), FREE)
    expected = logits_BV.double().log_softmax(-1).gather(-1, id_B[:, None])[:, 0]
    torch.testing.assert_close(logp_B.double(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(token_logprobs(logits_BV, id_B, temperature=1.0).double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("top_k", "top_p", "temperature"), [(3, 1.0, 1.0), (0, 0.6, 1.0), (5, 0.7, 1.3), (1, 1.0, 0.5), (0, 1e-6, 1.0)])
def test_truncation_is_that_of_transformers(top_k: int, top_p: float, temperature: float) -> None:
    count, logits_1V = 4000, torch.randn(1, 20, dtype=torch.float64)
    warped = TemperatureLogitsWarper(temperature)(torch.tensor([[0]]), logits_1V)
    if top_k:
        warped = TopKLogitsWarper(top_k)(torch.tensor([[0]]), warped)
    if top_p < 1:
        warped = TopPLogitsWarper(top_p)(torch.tensor([[0]]), warped)
    expected_V = warped[0].log_softmax(-1)
    grid_B = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    id_B, logp_B = choose(logits_1V.expand(count, -1), grid_B, Sampling(max_new_tokens=1, top_k=top_k, top_p=top_p, temperature=temperature))
    assert set(id_B.tolist()) == set(expected_V.isfinite().nonzero()[:, 0].tolist())
    torch.testing.assert_close(logp_B, expected_V[id_B], rtol=0, atol=1e-12)


def test_greedy_takes_the_likeliest_and_reports_it_at_temperature_one() -> None:
    logits_BV = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    id_B, logp_B = choose(logits_BV, torch.zeros(2, dtype=torch.float64), Sampling(max_new_tokens=1, temperature=0.0))
    assert id_B.tolist() == [1, 0]
    torch.testing.assert_close(logp_B, logits_BV.log_softmax(-1).amax(-1))


def test_the_numbers_of_a_row_depend_on_its_seed_alone() -> None:
    together = uniforms([5, 2**62, 7], 10)
    assert together.dtype == torch.float64
    for row, seed in enumerate((5, 2**62, 7)):
        assert torch.equal(uniforms([seed], 25)[0, :10], together[row])
