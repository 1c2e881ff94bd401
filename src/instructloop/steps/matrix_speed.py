"""How fast this machine multiplies matrices: the peak that a step's throughput is a share of."""

import time

import torch

REPETITIONS = 3
"""The best of these counts: the first pays for setting up, any may be disturbed."""


def matrix_speed(dtype: torch.dtype, *, device: str = "cpu", size: int = 1024, seconds: float = 0.15) -> float:
    """Floating-point operations per second of a product of two `size`² matrices: 2·size³ operations each.

    Takes about `seconds` for each repetition, and at least one product each.
    """
    a, b = torch.ones(size, size, dtype=dtype, device=device), torch.ones(size, size, dtype=dtype, device=device)
    return max(2 * size**3 / _seconds_per_product(a, b, seconds) for _ in range(REPETITIONS))


def _seconds_per_product(a: torch.Tensor, b: torch.Tensor, seconds: float) -> float:
    products, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        torch.mm(a, b)
        if a.is_cuda:
            torch.cuda.synchronize()
        products += 1
    return elapsed / products
