"""Log-probabilities of tokens, the ground of the language-modelling loss and of PPO alike.

N token positions (of any rows, in any order), V vocabulary, D width of the model. Sums over the vocabulary are taken in
float32 at least, whatever precision the logits come in.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint  # pyright: ignore[reportUnknownVariableType] (torch leaves it half typed)

Output = TypeVar("Output", Tensor, tuple[Tensor, Tensor])


def token_nll(logits_NV: Float[Tensor, "N V"], target_N: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """−log softmax(logits)[target], in nats per token."""
    return cross_entropy(_widened(logits_NV), target_N, reduction="none")


def projected_logprobs(
    hidden_ND: Float[Tensor, "N D"], project: Callable[[Tensor], Tensor], target_N: Int[Tensor, " N"], *, temperature: float = 1.0, chunk: int
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """log softmax(project(hidden) / temperature)[target] and the entropy of that distribution, in nats.

    Only `chunk` rows of logits exist at one time; the backward pass computes them again. Both outputs are the same for
    every `chunk`. The entropy is for watching: no gradient flows through it.
    """

    def of_chunk(hidden: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return _logprob_and_entropy(_widened(project(hidden)) / temperature, target)

    parts = list(zip(torch.split(hidden_ND, chunk), torch.split(target_N, chunk), strict=True))
    if len(parts) == 1:  # nothing is saved by computing the only chunk twice
        return of_chunk(*parts[0])
    logp, entropy = zip(*(_recomputed(of_chunk, hidden, target) for hidden, target in parts), strict=True)
    return torch.cat(logp), torch.cat(entropy)


def projected_nll(
    hidden_ND: Float[Tensor, "N D"], project: Callable[[Tensor], Tensor], target_N: Int[Tensor, " N"], *, chunk: int
) -> Float[Tensor, " N"]:
    """−log softmax(project(hidden))[target], `chunk` rows of logits at a time: the loss of language modelling."""

    def of_chunk(hidden: Tensor, target: Tensor) -> Tensor:
        return token_nll(project(hidden), target)

    parts = list(zip(torch.split(hidden_ND, chunk), torch.split(target_N, chunk), strict=True))
    if len(parts) == 1:
        return of_chunk(*parts[0])
    return torch.cat([_recomputed(of_chunk, hidden, target) for hidden, target in parts])


def _logprob_and_entropy(logits_NV: Tensor, target_N: Tensor) -> tuple[Tensor, Tensor]:
    logp_NV = logits_NV.log_softmax(dim=-1)
    with torch.no_grad():
        probability_NV = logp_NV.exp()
        entropy_N = -torch.xlogy(probability_NV, probability_NV).sum(dim=-1)
    return logp_NV.gather(-1, target_N[:, None]).squeeze(-1), entropy_N


def _recomputed(function: Callable[[Tensor, Tensor], Output], hidden: Tensor, target: Tensor) -> Output:
    if not torch.is_grad_enabled():
        return function(hidden, target)
    # The projection has no dropout, so there is no random state to keep.
    return cast(Output, checkpoint(function, hidden, target, use_reentrant=False, preserve_rng_state=False))


def _widened(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
