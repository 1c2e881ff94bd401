"""The test run checks shapes and types at every call of a formula."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from instructloop.algo.advantages import gae
from instructloop.algo.masking import last_of_mask, masked_mean, masked_moments, masked_sum, scale_by_std, whiten
from instructloop.algo.seeds import derive, generator, permutation

ALL = torch.ones(2, 3, dtype=torch.bool)


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        masked_mean(torch.zeros(2, 3), ALL[:1])
    with pytest.raises(TypeCheckError):
        gae(torch.zeros(2, 3), torch.zeros(2, 4), ALL, gamma=1.0, lam=1.0)


def test_a_mask_of_numbers_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        masked_mean(torch.zeros(2, 3), torch.ones(2, 3))


def test_whole_numbers_pass_for_real_ones() -> None:
    gae(torch.zeros(2, 3), torch.zeros(2, 3), ALL, gamma=1, lam=1)


@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_last_of_mask(lengths: list[int]) -> None:
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    assert last_of_mask(mask).nonzero().tolist() == [[row, n - 1] for row, n in enumerate(lengths) if n]


@given(rows=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_nothing_off_the_mask_is_read(rows: int, seed: int) -> None:
    """Means, moments and whitening of real tokens are the same beside zeros, NaN and infinity."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 6, dtype=torch.float64, generator=random)
    mask = torch.rand(rows, 6, generator=random) < 0.5
    mask[0, 0] = True
    results = []
    for rubbish in (0.0, torch.nan, torch.inf):
        dirty = torch.where(mask, x, rubbish)
        mean, variance = masked_moments(dirty, mask)
        results.append((masked_sum(dirty, mask), mean, variance, whiten(dirty, mask, mean, variance), scale_by_std(dirty, mask, variance)))
    clean = x[mask]
    torch.testing.assert_close(results[0][1:3], (clean.mean(), clean.var(unbiased=False)))
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


def test_streams_of_randomness_are_apart_by_name() -> None:
    assert derive(0, "rollout", 1) == derive(0, "rollout", 1)
    assert len({derive(0, "a", 11), derive(0, "a1", 1), derive(0, "a", 1, 1), derive(1, "a", 11)}) == 4
    assert torch.equal(torch.randperm(9, generator=generator(3, "x")), permutation(9, 3, "x"))
    assert sorted(permutation(9, 3, "x").tolist()) == list(range(9))
