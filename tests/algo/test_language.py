"""Log-probabilities in chunks: the same numbers and gradients as all at once, and never all at once."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn.functional import cross_entropy

from instructloop.algo.language import projected_logprobs, token_nll


def test_token_nll_by_hand() -> None:
    """Odds 1 : 2 : 5 of three tokens."""
    logits = torch.tensor([[0.0, math.log(2), math.log(5)]] * 3, dtype=torch.float64)
    expected = torch.tensor([math.log(8), math.log(4), math.log(1.6)], dtype=torch.float64)
    torch.testing.assert_close(token_nll(logits, torch.tensor([0, 1, 2])), expected)


def test_bf16_logits_are_widened_first() -> None:
    logits, target = torch.randn(6, 50).bfloat16(), torch.arange(6)
    came = token_nll(logits, target)
    assert came.dtype == torch.float32
    torch.testing.assert_close(came, cross_entropy(logits.float(), target, reduction="none"))
    logp, entropy = projected_logprobs(logits, lambda hidden: hidden, target, chunk=4)
    assert logp.dtype == entropy.dtype == torch.float32
    torch.testing.assert_close(logp, -came)


@given(n=st.integers(1, 9), chunk=st.integers(1, 12), temperature=st.floats(0.3, 3.0), seed=st.integers(0, 2**31))
def test_equals_a_categorical_whatever_the_chunk(n: int, chunk: int, temperature: float, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n, 5, dtype=torch.float64, generator=random, requires_grad=True)
    head = torch.randn(5, 11, dtype=torch.float64, generator=random, requires_grad=True)
    target = torch.randint(11, (n,), generator=random)
    logp, entropy = projected_logprobs(hidden, lambda h: h @ head, target, temperature=temperature, chunk=chunk)
    oracle = Categorical(logits=hidden @ head / temperature)
    torch.testing.assert_close(logp, oracle.log_prob(target))
    torch.testing.assert_close(entropy, oracle.entropy())
    came, expected = (torch.autograd.grad(x.sin().sum(), (hidden, head)) for x in (logp, oracle.log_prob(target)))
    torch.testing.assert_close(came, expected)


def test_no_tokens_give_no_log_probabilities() -> None:
    logp, entropy = projected_logprobs(torch.zeros(0, 5), lambda hidden: hidden, torch.zeros(0, dtype=torch.int64), chunk=4)
    assert logp.shape == entropy.shape == (0,)


def test_no_gradient_through_the_entropy_and_none_kept_without_grad() -> None:
    hidden = torch.randn(4, 3, requires_grad=True)
    logp, entropy = projected_logprobs(hidden, lambda h: h, torch.zeros(4, dtype=torch.int64), chunk=2)
    assert logp.requires_grad
    assert not entropy.requires_grad
    with torch.no_grad():
        assert not projected_logprobs(hidden, lambda h: h, torch.zeros(4, dtype=torch.int64), chunk=2)[0].requires_grad


def test_impossible_tokens_leave_the_entropy_finite() -> None:
    logits = torch.tensor([[0.0, 0.0, -math.inf]])
    _, entropy = projected_logprobs(logits, lambda h: h, torch.tensor([0]), chunk=1)
    assert entropy.item() == pytest.approx(math.log(2))


def test_only_one_chunk_of_logits_exists_at_a_time() -> None:
    """Autograd may keep hidden states, never anything as wide as the vocabulary."""
    vocabulary, rows = 101, 64
    head, seen, kept = nn.Linear(4, vocabulary, bias=False), [], []

    def project(hidden: Tensor) -> Tensor:
        seen.append(len(hidden))
        return head(hidden)

    def note(tensor: Tensor) -> Tensor:
        kept.append(tuple(tensor.shape))
        return tensor

    hidden, target = torch.randn(rows, 4, requires_grad=True), torch.randint(vocabulary, (rows,))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logp, _ = projected_logprobs(hidden, project, target, chunk=10)
    assert max(seen) == 10
    assert not [shape for shape in kept if len(shape) == 2 and shape[1] == vocabulary and shape[0] != vocabulary]
    logp.sum().backward()
    assert sum(seen) == 2 * rows  # once forward, once again in backward
