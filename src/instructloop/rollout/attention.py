"""Attention as the engine runs it: PyTorch's kernel for a prompt, two batched matrix products for a single token.

On a CPU `scaled_dot_product_attention` takes about ten times as long as the two products when every row asks with
one token, which is all that decoding does. Registered with transformers, so no modelling code is copied.

B rows, H heads, G key/value heads, T query tokens, C columns of the cache, D head width.
"""

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

from instructloop.errors import CheckpointError
from instructloop.model.attention import fused_attention

ENGINE_ATTENTION = "instructloop_engine"


def use_engine_attention(model: PreTrainedModel) -> None:
    """Make `model` attend as the engine does; raises `CheckpointError` for an architecture that cannot be told to."""
    _refuse_other_mixers(model)
    AttentionInterface.register(ENGINE_ATTENTION, engine_attention)
    model.set_attn_implementation(ENGINE_ATTENTION)
    if model.config._attn_implementation != ENGINE_ATTENTION:
        raise CheckpointError(
            f"{type(model).__name__} has its attention built in",
            expected="an architecture on transformers' AttentionInterface, such as GPT-2, GPT-NeoX, Llama or Qwen",
            remedy="choose another base model",
        )


def engine_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: object,
) -> tuple[Tensor, None]:
    """Attention in the signature of transformers: query [B, H, T, D], key and value [B, G, C, D], mask boolean 4-D; gives [B, T, H, D].

    A single token on a CPU is computed in float32 at least, which is also faster there than 16 bits. Values may be of another width
    than keys. A mask that the model has made numbers of, to add, is left to torch's kernel.
    """
    if query.shape[2] > 1 or query.device.type != "cpu" or attention_mask is None or attention_mask.dtype != torch.bool:
        return fused_attention(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    rows, heads, _, width = query.shape
    wide = torch.promote_types(query.dtype, torch.float32)
    query_BGQD = query.reshape(rows, key.shape[1], -1, width).to(wide)
    score_BGQC = query_BGQD @ key.to(wide).transpose(-1, -2)
    score_BGQC *= width**-0.5 if scaling is None else scaling
    weight_BGQC = score_BGQC.masked_fill_(~attention_mask, -torch.inf).softmax(-1)
    return (weight_BGQC @ value.to(wide)).view(rows, 1, heads, -1).to(query.dtype), None


def context_length(model: PreTrainedModel) -> int:
    """Tokens a row may hold so that every one of them can see its whole past."""
    config = model.config.get_text_config()
    return min(config.max_position_embeddings, getattr(config, "sliding_window", None) or config.max_position_embeddings)


def _refuse_other_mixers(model: PreTrainedModel) -> None:
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ())
    if unknown := sorted(kinds - {"full_attention", "sliding_attention"}):
        raise CheckpointError(
            f"{type(model).__name__} has layers of kind {', '.join(unknown)}",
            expected="attention to the whole past in every layer",
            remedy="choose another base model",
        )
