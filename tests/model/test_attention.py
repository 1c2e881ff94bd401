"""Torch's attention called from here: on a CPU in float32 whatever the model's precision, and elsewhere as it is."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from instructloop.model.attention import ATTENTION, fused_attention, use_fused_attention
from tiny_models import tiny

ARCHITECTURES = ("gpt2", "gpt_neox", "llama", "qwen2")


class Causal(torch.nn.Module):
    """What attention asks of the module that calls it."""

    is_causal = True


def test_16_bits_are_attended_to_in_32() -> None:
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 9, 8, generator=draw).bfloat16() for _ in range(3))
    with torch.autocast("cpu", torch.bfloat16):
        ours, _ = fused_attention(Causal(), query, key, value, None)
    score = query.double() @ key.double().transpose(-1, -2) * 8**-0.5
    weight = score.masked_fill(~torch.ones(9, 9, dtype=torch.bool).tril(), -torch.inf).softmax(-1)
    assert ours.dtype == torch.bfloat16
    assert torch.equal(ours, (weight @ value.double()).transpose(1, 2).bfloat16())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_model_computes_what_it_computed(architecture: str, tmp_path: Path) -> None:
    """With and without padding on the left, and its folder says nothing of it."""
    model = tiny(architecture)
    tokens = torch.randint(2, 50, (3, 12), generator=torch.Generator().manual_seed(1))
    masks = (None, torch.arange(12) >= torch.tensor([[0], [3], [7]]))
    before = [model(input_ids=tokens, attention_mask=mask, use_cache=False).logits for mask in masks]
    use_fused_attention(model)
    assert model.config._attn_implementation == ATTENTION
    for mask, logits in zip(masks, before, strict=True):
        torch.testing.assert_close(model(input_ids=tokens, attention_mask=mask, use_cache=False).logits, logits, atol=1e-6, rtol=0)
    model.save_pretrained(tmp_path)
    assert ATTENTION not in json.loads((tmp_path / "config.json").read_text()).values()
    assert AutoModelForCausalLM.from_pretrained(tmp_path).config._attn_implementation == "sdpa"


def test_a_mask_of_numbers_is_added_in_the_precision_of_the_products() -> None:
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 9, 8, generator=draw).bfloat16() for _ in range(3))
    seen = torch.ones(9, 9, dtype=torch.bool).tril()[None, None]
    added = torch.zeros(seen.shape).masked_fill(~seen, -torch.inf)
    ours = [fused_attention(Causal(), query, key, value, mask)[0] for mask in (seen, added.bfloat16(), added.double())]
    assert torch.equal(ours[0], ours[1])
    assert torch.equal(ours[0], ours[2])
