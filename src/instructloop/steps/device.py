"""Where the models of a run live: the accelerator, when there is one."""

from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def device() -> torch.device:
    """The first CUDA device, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def place(model: Module) -> Module:
    """Move a model to the run's device."""
    return model.to(device())
