"""The language-model loss, in one place: pretraining, supervised fine-tuning, and the pretraining term of PPO-ptx.

Shapes: B rows, T tokens, N targets.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from instructloop.algo.language import projected_nll
from instructloop.config import Run
from instructloop.data.demonstrations import TokenBatch
from instructloop.model.finite import require_finite
from instructloop.model.policy import autocast, hidden_states, project
from instructloop.text.rendering import Rendered


def target_nll(model: PreTrainedModel, batch: TokenBatch, cfg: Run) -> Tensor:
    """−log π of each target token of the batch, float32 [N]: the token at t is predicted from the tokens before t.

    Targets are the tokens under `loss_mask_BT`; a row's first token has nothing before it and is never one. Logits exist
    for `cfg.loss_chunk` tokens at a time.
    """
    device = next(model.parameters()).device
    tokens_BT, target_BT = batch.tokens_BT.to(device), batch.loss_mask_BT[:, 1:].to(device)
    with autocast(cfg.precision, device):
        hidden_BTD = hidden_states(model, tokens_BT, **_packing(batch, device))
        return projected_nll(hidden_BTD[:, :-1][target_BT], project(model), tokens_BT[:, 1:][target_BT], chunk=cfg.loss_chunk)


def accumulate_language_loss(model: PreTrainedModel, micro_batches: Sequence[TokenBatch], cfg: Run, *, count: int, coef: float = 1.0) -> float:
    """Add the gradient of `coef · Σ nll / count` to the model's buffers, micro-batch by micro-batch; returns `Σ nll / count`.

    `count` is the number of targets of the global batch, so that no way of cutting it changes the result (law D1).
    """
    total = 0.0
    for batch in micro_batches:
        nll = target_nll(model, batch, cfg).sum() / count
        require_finite({"tokens_BT": batch.tokens_BT, "loss_mask_BT": batch.loss_mask_BT}, loss=nll)
        (coef * nll).backward()
        total += float(nll.detach())
    return total


@torch.no_grad()
def mean_nll(model: PreTrainedModel, batches: Sequence[TokenBatch], cfg: Run) -> float:
    """Mean −log π per target token over all batches, in nats; raises `NotFinite` where it is not (law E1)."""
    total, count = 0.0, 0
    for batch in batches:
        nll_N = target_nll(model, batch, cfg)
        require_finite({"tokens_BT": batch.tokens_BT, "loss_mask_BT": batch.loss_mask_BT}, held_out_nll_N=nll_N)
        total, count = total + float(nll_N.double().sum()), count + nll_N.numel()
    return total / max(count, 1)


def rows_batch(tokens_BT: Tensor) -> TokenBatch:
    """Full rows of running text as a batch: every token but the first of a row is a target."""
    return TokenBatch(tokens_BT=tokens_BT, loss_mask_BT=torch.ones_like(tokens_BT, dtype=torch.bool), position_BT=None, segment_BT=None)


def running_text(ids: Sequence[int]) -> Rendered:
    """The same of one row, as an example among others."""
    return Rendered(ids=tuple(ids), loss_mask=(False, *[True] * (len(ids) - 1)))


def tokens_of(batches: Sequence[TokenBatch]) -> dict[str, list[Tensor]]:
    """The token ids of a batch, to be kept if it breaks law E1."""
    return {"tokens_BT": [batch.tokens_BT for batch in batches]}


def count_targets(batches: Sequence[TokenBatch]) -> int:
    """Target tokens of all batches: what a mean over the global batch divides by."""
    return sum(int(batch.loss_mask_BT[:, 1:].sum()) for batch in batches)


def in_micro_batches(items: Sequence[Rendered], size: int, collate: Callable[[Sequence[Rendered]], TokenBatch]) -> list[TokenBatch]:
    """Cut a batch into micro-batches of `size` examples."""
    return [collate(items[start : start + size]) for start in range(0, len(items), size)]


def _packing(batch: TokenBatch, device: torch.device) -> dict[str, Tensor]:
    """Positions and the [B, 1, T, T] mask that keep packed examples apart; nothing when every row holds one example."""
    if batch.segment_BT is None or batch.position_BT is None or int(batch.segment_BT.max()) == 0:
        return {}
    segment_BT = batch.segment_BT.to(device)
    same_BTT = segment_BT[:, :, None] == segment_BT[:, None, :]
    return {"position_BT": batch.position_BT.to(device), "mask_4d": (same_BTT & torch.ones_like(same_BTT[0]).tril())[:, None]}
