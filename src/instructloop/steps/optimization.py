"""Adam as the paper used it, and one guarded optimizer step."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from instructloop.algo.schedules import lr_factor
from instructloop.config import Optimizer
from instructloop.errors import LawBroken


def make_optimizer(model: nn.Module, cfg: Optimizer) -> torch.optim.Optimizer:
    """AdamW over `model`; weight decay, if any, falls on matrices only."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": cfg.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=cfg.lr, betas=(cfg.beta1, cfg.beta2), eps=cfg.eps, fused=True)


def optimizer_step(optimizer: torch.optim.Optimizer, cfg: Optimizer, *, lr_step: int, total: int) -> dict[str, float]:
    """Clip the accumulated gradient, set the scheduled learning rate, step, and clear the gradient.

    `lr_step` counts what the schedule counts (updates, or iterations of PPO) from 0. Raises `LawBroken` E1 on a gradient
    that is not finite, before any weight is touched.
    """
    norm = clip_gradients((p for group in optimizer.param_groups for p in group["params"]), cfg.max_grad_norm)
    lr = cfg.lr * lr_factor(lr_step, total=total, decay=cfg.decay, final_fraction=cfg.final_fraction, warmup=cfg.warmup, warmup_from=cfg.warmup_from)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {"grad_norm": norm, "lr": lr}


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients together to a norm of `max_norm` at most; returns the norm before."""
    norm = float(nn.utils.clip_grad_norm_(list(parameters), max_norm))
    if not math.isfinite(norm):
        raise LawBroken(
            "E1", expected="a finite gradient norm", came=str(norm), usual_cause="a learning rate that is too high, or a batch with no target"
        )
    return norm
