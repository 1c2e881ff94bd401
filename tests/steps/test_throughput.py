"""Operations per token against torch's own counter, and the arithmetic of the share."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from instructloop.steps.throughput import Throughput, measure_throughput, multiplying_weights, operations_per_token, typical_seconds
from tiny_models import ARCHITECTURES, tiny

ROWS, LENGTH = 3, 16


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_six_operations_per_weight_and_token_as_torch_counts_them(architecture: str) -> None:
    model = tiny(architecture, dtype=torch.float32)
    with FlopCounterMode(display=False) as counter:
        model(torch.randint(96, (ROWS, LENGTH)), use_cache=False).logits.sum().backward()
    counts = {str(op): count for op, count in counter.get_flop_counts()["Global"].items()}
    products = sum(count for op, count in counts.items() if op in ("aten.mm", "aten.addmm"))
    assert 6 * multiplying_weights(model) * ROWS * LENGTH == products


def test_a_known_size() -> None:
    """GPT-NeoX, width 32, two layers: 12 · 32² weights in each; the embedding is not counted, the projection of 96 tokens is."""
    assert multiplying_weights(tiny("gpt_neox")) == 2 * 12 * 32**2 + 32 * 96
    assert operations_per_token(tiny("gpt_neox"), LENGTH) == 6 * (2 * 12 * 32**2 + 32 * 96) + 6 * 2 * 32 * LENGTH


def test_the_share_is_of_the_peak() -> None:
    speed = Throughput(tokens_per_second=1000, operations_per_token=50_000_000, peak=200e9, precision="bf16")
    assert speed.share == 0.25
    assert str(speed) == "1,000 tokens/s: 25% of the 200 GFLOP/s that matrix products in bf16 reach here"
    assert speed.figures() == {"time/tokens_per_second": 1000, "time/peak_gflops": 200, "time/share_of_peak": 0.25}


def test_measured_on_this_machine() -> None:
    seconds = typical_seconds([{"time/update": 9.0}, {"time/update": 0.5}, {"time/update": 0.5}])
    speed = measure_throughput(tiny("llama"), tokens=64, length=32, seconds=seconds, precision="fp32")
    assert speed.tokens_per_second == 128
    assert 1e8 < speed.peak < 1e15
    assert 0 < speed.share < 1
