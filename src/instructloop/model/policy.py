"""The policy: a decoder-only language model from a checkpoint or from scratch, and its passes over whole sequences.

Shapes: B batch rows, T tokens of a row, R response tokens, N masked tokens of all rows, V vocabulary, D width.

Precision: parameters are float32 masters (float64 for fp64). Under `autocast` with bf16 the trunk's matrix products run
in bfloat16 on both sides of the residual stream, which stays float32. The projection to logits and everything after it
is float32: bfloat16 has eight bits, and a logit of 10 would be rounded by up to 0.03 nats.

No pass here uses a key-value cache: transformers detects packed sequences only without one.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig, PreTrainedConfig, PreTrainedModel

from instructloop.algo.language import projected_logprobs
from instructloop.algo.seeds import derive
from instructloop.config import ModelShape, Precision
from instructloop.errors import CheckpointError
from instructloop.model.attention import use_fused_attention
from instructloop.model.dropout import dropout_off
from instructloop.model.pretrained import Weights, fit_vocabulary, load_weights, master_dtype, open_config, vocabulary_rows, weights_source
from instructloop.text.tokenizer import Tokenizer

PROBE_TOKENS = 8
"""Length of the sequence by which `check_fit` compares our pass with the model's own."""


def autocast(precision: Precision, device: torch.device | str) -> AbstractContextManager[object]:
    """bfloat16 matrix products for bf16, nothing otherwise. Enter it anew for each pass: weights are cast once per context."""
    if precision == "bf16":
        return torch.autocast(device_type=torch.device(device).type, dtype=torch.bfloat16)
    return nullcontext()


def hidden_states(
    model: PreTrainedModel,
    tokens_BT: Tensor,
    *,
    attention_BT: Tensor | None = None,
    position_BT: Tensor | None = None,
    mask_4d: Tensor | None = None,
) -> Tensor:
    """Final normed hidden states [B, T, D].

    Rows padded on the right need no mask: nothing looks ahead, and attention takes its fast causal path. Rows padded on
    the left need `attention_BT` (True on tokens), from which positions are counted. Packed rows need `mask_4d`
    [B, 1, query, key] (True where a query may look) and `position_BT`. Values at padding are meaningless but finite.
    """
    if attention_BT is not None and position_BT is None:
        position_BT = positions(attention_BT)
    mask = mask_4d if mask_4d is not None else attention_BT
    return model.base_model(input_ids=tokens_BT, attention_mask=mask, position_ids=position_BT, use_cache=False).last_hidden_state


def positions(attention_BT: Tensor) -> Tensor:
    """Position of each token among the attended tokens of its row, from 0; 0 at padding before the first."""
    return (attention_BT.long().cumsum(dim=-1) - 1).clamp(min=0)


def project(model: PreTrainedModel) -> Callable[[Tensor], Tensor]:
    """The model's projection from hidden states [..., D] to logits [..., V], in the precision of its weights whatever `autocast` says."""
    head = cast(nn.Linear, model.get_output_embeddings())

    def logits(hidden: Tensor) -> Tensor:
        with torch.autocast(device_type=hidden.device.type, enabled=False):
            return linear(hidden.to(head.weight.dtype), head.weight, head.bias)

    return logits


def response_logprobs(
    model: PreTrainedModel,
    tokens_BT: Tensor,
    prompt_length_B: Tensor,
    mask_BR: Tensor,
    *,
    temperature: float = 1.0,
    chunk: int,
) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of each sampled token, two [B, R], zeros off the mask.

    Rows are prompt then response, padded on the right; response token r of row b is `tokens_BT[b, prompt_length_B[b] + r]`.
    Only tokens under the mask reach the vocabulary projection, `chunk` of them at a time. Logits are divided by the
    sampling temperature (law A4).
    """
    row_N, slot_N = mask_BR.nonzero(as_tuple=True)
    before_N = prompt_length_B[row_N] - 1 + slot_N
    hidden_ND = hidden_states(model, tokens_BT)[row_N, before_N]
    target_N = tokens_BT[row_N, before_N + 1]
    logp_N, entropy_N = projected_logprobs(hidden_ND, project(model), target_N, temperature=temperature, chunk=chunk)
    zeros_BR = logp_N.new_zeros(mask_BR.shape)
    return zeros_BR.index_put((row_N, slot_N), logp_N), zeros_BR.index_put((row_N, slot_N), entropy_N)


def load_policy(source: str | Path, *, precision: Precision, tokenizer: Tokenizer, context: int, weights: Weights = "raw") -> PreTrainedModel:
    """The language model of a folder or hub id, in eval mode, every dropout 0, embeddings resized if a PAD was added.

    Raises `CheckpointError` for a source that is absent, unreachable, no decoder, short of vocabulary or context, or
    computes logits in a way we do not.
    """
    place = weights_source(source, weights)
    config = open_config(place, context=context)
    model = load_weights(AutoModelForCausalLM, place, config, master_dtype(precision))
    dropout_off(model)
    fit_vocabulary(model, tokenizer, place)
    model.config.pad_token_id = tokenizer.pad_id
    check_fit(model)
    return model


def new_policy(shape: ModelShape, tokenizer: Tokenizer, seed: int, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A fresh model of this shape, in eval mode; the same seed gives the same weights.

    Matrices start at std 0.02, those that write into the residual stream at 0.02/√(2·layers), as in GPT-2. Input and
    output embeddings are one matrix: at small widths two would be a quarter of the parameters.
    """
    config = _shape_config(shape, tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "new_policy"))
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa")
    writers = ("attention.dense.weight", "mlp.dense_4h_to_h.weight", "self_attn.o_proj.weight", "mlp.down_proj.weight")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(writers):
                parameter.mul_((2 * shape.layers) ** -0.5)
    use_fused_attention(model)
    return model.to(dtype).eval()


def _shape_config(shape: ModelShape, tokenizer: Tokenizer) -> PreTrainedConfig:
    common = {
        "vocab_size": len(tokenizer),
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "max_position_embeddings": shape.context,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.begin_ids[0] if tokenizer.begin_ids else None,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.pad_id,
    }
    if shape.family == "gpt_neox":
        rotation = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 1.0}
        return GPTNeoXConfig(intermediate_size=4 * shape.width, rope_parameters=rotation, **common)
    # Three matrices of 8/3 of the width hold as many parameters as two of four times the width.
    return LlamaConfig(intermediate_size=8 * round(shape.width / 3), **common)


@torch.no_grad()
def check_fit(model: PreTrainedModel) -> None:
    """Raise `CheckpointError` unless hidden states times output embeddings are the model's own logits, attention is causal, and an
    explicit mask with explicit positions keeps two continuations of one beginning apart (law A3).

    Finds what a configuration does not say in general: soft-capped or scaled logits, attention that looks ahead, layers that carry
    something from token to token past every mask.
    """
    tokens_BT = (torch.arange(PROBE_TOKENS, device=model.device) * 7919 % vocabulary_rows(model))[None]
    hidden_BTD = hidden_states(model, tokens_BT)
    ours_BTV, own_BTV = project(model)(hidden_BTD), model(input_ids=tokens_BT, use_cache=False).logits
    tolerance = 1e-4 * (1 + own_BTV.abs().max())
    if ours_BTV.shape != own_BTV.shape or (ours_BTV - own_BTV).abs().max() > tolerance:
        raise _unfit(model, "its logits are more than hidden states times output embeddings (soft caps or scales)")
    shorter_BTD = hidden_states(model, tokens_BT[:, :-1])
    if (hidden_BTD[:, :-1] - shorter_BTD).abs().max() > 1e-4 * (1 + shorter_BTD.abs().max()):
        raise _unfit(model, "a later token changes what earlier ones compute")
    if not _kept_apart(model, tokens_BT):
        raise _unfit(model, "it does not heed an explicit mask: examples in one row would see each other")


def _kept_apart(model: PreTrainedModel, tokens_BT: Tensor) -> bool:
    """True if two tokens with two continuations of three behind them, in one row, are read as in rows of their own."""
    continuation_T = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2], device=model.device)
    position_BT = torch.tensor([[0, 1, 2, 3, 4, 2, 3, 4]], device=model.device)
    mask_TT = ((continuation_T[:, None] == continuation_T) | (continuation_T == 0)).tril()
    try:
        together_BTD = hidden_states(model, tokens_BT, position_BT=position_BT, mask_4d=mask_TT[None, None])
    except (ValueError, TypeError, RuntimeError, IndexError):  # a mask of another shape is all that its code knows
        return False
    first_BTD, second_BTD = (hidden_states(model, tokens_BT[:, continuation_T != other]) for other in (2, 1))
    alone_BTD = torch.cat([first_BTD, second_BTD[:, 2:]], dim=1)
    return bool((together_BTD - alone_BTD).abs().max() <= 1e-4 * (1 + alone_BTD.abs().max()))


def _unfit(model: nn.Module, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{type(model).__name__} cannot be trained here: {reason}",
        expected="a decoder-only model with full causal attention and a plain output embedding",
        remedy="choose GPT-2, GPT-NeoX, Llama, Qwen or another model of that kind",
    )
