"""Law E1: numbers that must be finite, looked at wherever they are made."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from instructloop.errors import LawBroken


class NotFinite(LawBroken):
    """Law E1: raised where a NaN or an infinity is found, before any weight is touched; `tensors` is the batch at fault."""

    def __init__(self, name: str, found: Tensor, batch: Mapping[str, Any], *, kept_in: str = "") -> None:
        super().__init__(
            "E1",
            expected=f"finite values in {name}",
            came=f"{int((~torch.isfinite(found)).sum())} of {found.numel()} are not{kept_in}",
            usual_cause="a learning rate that is too high, a broken checkpoint, or a scorer that divides by zero",
        )
        self.name, self.found, self.tensors = name, found, {**batch, name: found}


def require_finite(batch: Mapping[str, Any], **tensors: Tensor) -> None:
    """Raise `NotFinite` for the first of `tensors` that holds a NaN or an infinity."""
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise NotFinite(name, tensor.detach(), batch)
