"""Attention of the passes over whole sequences: torch's fused kernel, which a CPU runs in float32.

In bfloat16 a CPU's kernel takes three to five times as long for the gradient of rows of up to 250 tokens, is no faster for rows of 500,
and rounds more. Registered with transformers, so no modelling code is copied.
"""

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from instructloop.model.silence import quietly

ATTENTION = "instructloop"


def use_fused_attention(model: PreTrainedModel) -> None:
    """Let a model that was built with torch's kernel call it from here; one whose code has no such choice stays as it is."""
    with quietly():
        model.set_attn_implementation(ATTENTION)


def fused_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: object
) -> tuple[Tensor, None]:
    """Attention in the signature of transformers: query [B, H, T, D], key and value [B, G, C, D], mask 4-D; gives [B, T, H, D].

    The mask is boolean, True where a query may look, or numbers to add.
    """
    if query.device.type != "cpu":
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)  # pyright: ignore[reportArgumentType, reportReturnType]
    wide = torch.promote_types(query.dtype, torch.float32)
    if attention_mask is not None and attention_mask.is_floating_point():
        attention_mask = attention_mask.to(wide)
    with torch.autocast(device_type="cpu", enabled=False):
        output, _ = sdpa_attention_forward(module, query.to(wide), key.to(wide), value.to(wide), attention_mask, **kwargs)  # pyright: ignore[reportArgumentType]
    return output.to(query.dtype), None


AttentionInterface.register(ATTENTION, fused_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
