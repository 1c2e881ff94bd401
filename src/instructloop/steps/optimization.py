"""Adam as the paper used it, and one guarded optimizer step."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from instructloop.algo.schedules import lr_factor
from instructloop.config import Optimizer
from instructloop.model.finite import NotFinite


def make_optimizer(model: nn.Module, cfg: Optimizer) -> torch.optim.Optimizer:
    """AdamW over `model`; weight decay, if any, falls on matrices only."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    groups = [
        {"params": [(name, p) for name, p in named if p.dim() >= 2], "weight_decay": cfg.weight_decay},
        {"params": [(name, p) for name, p in named if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=cfg.lr, betas=(cfg.beta1, cfg.beta2), eps=cfg.eps, fused=True)


def optimizer_step(optimizer: torch.optim.Optimizer, cfg: Optimizer, *, lr_step: int, total: int, batch: Mapping[str, Any]) -> dict[str, float]:
    """Clip the accumulated gradient, set the scheduled learning rate, step, and clear the gradient.

    `lr_step` counts what the schedule counts (updates, or iterations of PPO) from 0. Raises `NotFinite` with the `batch`
    on a gradient that is not finite, before any weight is touched.
    """
    norm = clip_gradients(optimizer, cfg.max_grad_norm, batch)
    lr = cfg.lr * lr_factor(lr_step, total=total, decay=cfg.decay, final_fraction=cfg.final_fraction, warmup=cfg.warmup, warmup_from=cfg.warmup_from)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {"grad_norm": norm, "lr": lr}


def clip_gradients(optimizer: torch.optim.Optimizer, max_norm: float, batch: Mapping[str, Any]) -> float:
    """Scale all gradients together to a norm of `max_norm` at most; returns the norm before."""
    norm = gradient_norm(optimizer, batch)
    nn.utils.clip_grads_with_norm_((p for group in optimizer.param_groups for p in group["params"]), max_norm, norm)
    return float(norm)


def gradient_norm(optimizer: torch.optim.Optimizer, batch: Mapping[str, Any]) -> Tensor:
    """The norm of all accumulated gradients together; raises `NotFinite` with the name of the first that is not finite, and the `batch`."""
    gradients = _gradients(optimizer)
    norm = nn.utils.get_total_norm(gradients.values())
    if not bool(norm.isfinite()):
        name, gradient = next(((name, g) for name, g in gradients.items() if not bool(g.isfinite().all())), ("norm", norm))
        raise NotFinite(f"gradient of {name}", gradient, batch)
    return norm


def _gradients(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    named = (pair for group in optimizer.param_groups for pair in zip(group["param_names"], group["params"], strict=True))
    return {name: parameter.grad for name, parameter in named if parameter.grad is not None}
