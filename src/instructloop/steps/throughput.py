"""How much of a machine the updates of a language model use.

    share = tokens per second · operations per token / operations per second of a matrix product on this machine

Operations per token, forward and backward: 6 for each weight that multiplies (the output projection does, a lookup in an
embedding does not), and 6 · layers · width · length for attention: a token looks at length / 2 others on average, and each
costs 4 · width, thrice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import cast

import torch
from torch import nn
from transformers import PreTrainedModel

from instructloop.config import Precision
from instructloop.steps.matrix_speed import matrix_speed

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp64": torch.float64}
PRODUCT_SIZE = {"cpu": 1024, "cuda": 8192}
"""Width of the matrices whose product is the peak: an accelerator needs larger ones to be busy."""


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Speed of a run beside the speed of the machine."""

    tokens_per_second: float
    operations_per_token: int
    peak: float
    """Operations per second of a matrix product in the run's precision, measured right after the run."""
    precision: Precision

    @property
    def share(self) -> float:
        """Share of the peak that the model's arithmetic used."""
        return self.tokens_per_second * self.operations_per_token / self.peak

    def figures(self) -> dict[str, float]:
        """For finished.json."""
        return {"time/tokens_per_second": self.tokens_per_second, "time/peak_gflops": self.peak / 1e9, "time/share_of_peak": self.share}

    def __str__(self) -> str:
        peak = f"{self.peak / 1e9:,.0f} GFLOP/s that matrix products in {self.precision} reach here"
        return f"{self.tokens_per_second:,.0f} tokens/s: {self.share:.0%} of the {peak}"


def measure_throughput(model: PreTrainedModel, *, tokens: int, length: int, seconds: float, precision: Precision) -> Throughput:
    """The throughput of updates of `tokens` tokens in rows of `length` that took `seconds` each; measures the peak, half a second."""
    device = model.device.type
    return Throughput(
        tokens_per_second=tokens / seconds,
        operations_per_token=operations_per_token(model, length),
        peak=matrix_speed(DTYPES[precision], device=device, size=PRODUCT_SIZE.get(device, 1024)),
        precision=precision,
    )


def operations_per_token(model: PreTrainedModel, length: int) -> int:
    """Floating-point operations of forward and backward pass for one token of a row of `length`."""
    config = model.config.get_text_config()
    return 6 * multiplying_weights(model) + 6 * config.num_hidden_layers * config.hidden_size * length


def multiplying_weights(model: PreTrainedModel) -> int:
    """Entries of the matrices that every token is multiplied by; one matrix that embeds and projects counts as the projection."""
    lookups = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    matrices = {id(p): p.numel() for p in model.parameters() if p.dim() == 2 and id(p) not in lookups}
    projection = cast(nn.Linear, model.get_output_embeddings()).weight
    return sum((matrices | {id(projection): projection.numel()}).values())


def typical_seconds(logged: Sequence[Mapping[str, float]], time: str = "time/update") -> float:
    """The median of a time over the lines of a run's metrics: what an undisturbed update takes."""
    return median(line[time] for line in logged)
