"""Randomness by name: every stream is a pure function of the run's seed and what it is for.

Nothing here holds state, so resuming a run needs no random state to restore (law D2), and adding a stream never
disturbs another (law D4).
"""

import hashlib

import torch
from torch import Tensor


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called `names`, e.g. `derive(seed, "rollout", iteration, row)`."""
    text = "\x1f".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU random generator at the start of the stream called `names`.

    torch's CPU generator, a Mersenne Twister, starts from the low 32 bits of a seed only: of n streams some two are the
    same with a probability of about n²/2³³, one in a hundred for ten thousand streams.
    """
    return torch.Generator().manual_seed(derive(seed, *names))


def permutation(n: int, seed: int, *names: str | int) -> Tensor:
    """A random order of `n` things, int64 [n], from the stream called `names`."""
    return torch.randperm(n, generator=generator(seed, *names))
