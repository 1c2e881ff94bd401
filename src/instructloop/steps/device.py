"""Where the models of a run live: the accelerator, when there is one; and the precision that it has."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from instructloop.config import Config, Precision

CPUINFO = Path("/proc/cpuinfo")
Module = TypeVar("Module", bound=nn.Module)


def device() -> torch.device:
    """The first CUDA device, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def place(model: Module) -> Module:
    """Move a model to the run's device."""
    return model.to(device())


def on_this_machine(config: Config) -> Config:
    """The config with a precision that the run's device has."""
    return replace(config, run=replace(config.run, precision=native_precision(config.run.precision)))


def native_precision(precision: Precision) -> Precision:
    """`precision` itself, or fp32 for a bf16 that the run's device would only emulate, which is slower and coarser; says so."""
    if precision == "bf16" and not multiplies_bf16():
        print("bf16 matrix products are only emulated here: fp32 instead")
        return "fp32"
    return precision


@cache
def multiplies_bf16() -> bool:
    """True if the run's device has instructions for bfloat16 products: CUDA from Ampere on, AVX-512-bf16, AMX, Arm's."""
    if device().type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    on_intel_and_amd = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return on_intel_and_amd or "bf16" in _arm_features()


def _arm_features() -> list[str]:
    """What Linux says an Arm processor can do; empty elsewhere."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    return next((line.split() for line in lines if line.startswith("Features")), [])
