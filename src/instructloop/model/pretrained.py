"""Reading Hugging Face checkpoints from a folder or the hub, with one clear error for everything that can be wrong.

What can be known from the configuration (a few kilobytes) is refused before any weight is read.
"""

from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from instructloop.config import Precision
from instructloop.errors import CheckpointError, first_line
from instructloop.model.attention import use_fused_attention
from instructloop.model.silence import quietly
from instructloop.text.tokenizer import Tokenizer

Weights = Literal["raw", "ema"]
"""Which weights of one of our checkpoints: as last trained, or averaged over the updates."""

AVERAGED = "ema"
"""Subdirectory of a checkpoint that holds the averaged weights."""


def master_dtype(precision: Precision) -> torch.dtype:
    """The dtype of the parameters that are trained: float32 under bf16 autocast too, float64 for fp64."""
    return torch.float64 if precision == "fp64" else torch.float32


def weights_source(source: str | Path, weights: Weights) -> str:
    """The folder or hub id to load from; raises `CheckpointError` when averaged weights are asked for and absent."""
    if weights == "raw":
        return str(source)
    folder = Path(source) / AVERAGED
    if not folder.is_dir():
        raise CheckpointError(
            f"{source} holds no averaged weights",
            expected=f"a checkpoint folder with the subfolder {AVERAGED}/",
            remedy="load the raw weights instead",
        )
    return str(folder)


def open_config(source: str, *, context: int) -> PreTrainedConfig:
    """The configuration at `source`, with every dropout 0; refuses what is not a decoder-only model of at least `context` tokens.

    Raises `CheckpointError`: no such folder, no config in it, hub unreachable or id unknown, encoder, short context.
    """
    _check_folder(source)
    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error
    _check_decoder(config, source)
    if cap := getattr(config, "attn_logit_softcapping", None):  # which older versions of transformers leave out without a word
        raise _another_attention(f"{source} caps the logits of its attention at {cap} (attn_logit_softcapping)")
    _check_context(config, context, source)
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, float | int):
            setattr(config, name, 0.0)
    return config


def load_weights(auto_class: Any, source: str, config: PreTrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    """The model of `config` with the weights at `source`, in eval mode; raises `CheckpointError` if weights are absent, broken or of other shapes."""
    settings = {"config": config, "dtype": dtype, "attn_implementation": "sdpa"}
    try:
        with quietly():  # shapes that differ are named below; transformers would only point at what it has printed
            model, loading = auto_class.from_pretrained(source, **settings, output_loading_info=True, ignore_mismatched_sizes=True)
    except (OSError, SafetensorError) as error:
        raise _unreadable(source, error) from error
    except ValueError as error:
        raise _another_attention(f"transformers cannot build {source}: {first_line(error)}") from error
    if misshapen := sorted(loading["mismatched_keys"]):
        name, found, expected = misshapen[0]
        raise CheckpointError(
            f"{name} of {source} has the shape {tuple(found)}, and its config.json asks for {tuple(expected)}",
            expected="weights of the shapes that config.json tells",
            remedy="copy or download config.json and the weights together again",
        )
    if missing := sorted(loading["missing_keys"]):
        raise CheckpointError(
            f"{source} lacks the weights {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''} of a {type(model).__name__}",
            expected="a checkpoint of this kind of model: reward models have a score head, policies an output embedding",
            remedy="give a policy where a policy is asked for and a reward model where a reward model is",
        )
    _align(model)
    use_fused_attention(model)
    return model.eval()


def fit_vocabulary(model: PreTrainedModel, tokenizer: Tokenizer, source: str) -> None:
    """Give the padding token that was added to the tokenizer a row of the embeddings, once; the other rows stay as they are.

    The new row is the mean of the old ones, so that padding is about as unlikely as the average token; a row of zeros
    would be likely wherever all logits are negative. Raises `CheckpointError` when the vocabulary is smaller than that.
    """
    rows, needed = vocabulary_rows(model), len(tokenizer)
    if rows < needed - int(tokenizer.added_pad):
        raise CheckpointError(
            f"the tokenizer has {needed} tokens and {source} embeds {rows}",
            expected="a model that embeds every token of the tokenizer",
            remedy="use the tokenizer that the model was trained with",
        )
    if rows >= needed:
        return
    model.resize_token_embeddings(needed, mean_resizing=False)
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            for tensor in (getattr(layer, "weight", None), getattr(layer, "bias", None)):
                if tensor is not None:
                    tensor[rows:] = tensor[:rows].mean(dim=0)


def stop_ids(model: PreTrainedModel, tokenizer: Tokenizer) -> frozenset[int]:
    """The ids that end an answer: the tokenizer's end token, and those at which the checkpoint says it stops (chat models have several)."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    own = () if configured is None else (configured,) if isinstance(configured, int) else tuple(configured)
    return frozenset({tokenizer.end_id, *own})


def vocabulary_rows(model: PreTrainedModel) -> int:
    """Tokens that the model embeds; some checkpoints embed more than their tokenizer has."""
    return cast(nn.Embedding, model.get_input_embeddings()).weight.shape[0]


def require_classifier(config: PreTrainedConfig, source: str) -> None:
    """Raise `CheckpointError` if transformers has no sequence classifier of this architecture: nothing to make a reward model of."""
    if config.model_type not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES:
        raise CheckpointError(
            f"transformers has no sequence-classification class for {config.model_type!r} ({source})",
            expected="an architecture that can also be a reward and a value model",
            remedy="choose GPT-2, GPT-NeoX, Llama, Qwen or another architecture that has one",
        )


def _align(model: PreTrainedModel) -> None:
    # Tensors read from safetensors lie wherever the file's header ends; products of unaligned matrices round otherwise,
    # and a model would not compute to the bit what it computed before it was saved.
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


def _check_folder(source: str) -> None:
    folder = Path(source)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise CheckpointError(
            f"the folder {source} holds no config.json",
            expected="a Hugging Face checkpoint: config.json, model.safetensors, tokenizer files",
            remedy="give the folder of the checkpoint itself, not of the run around it",
        )
    if not folder.exists() and (folder.is_absolute() or source.startswith(".") or source.count("/") > 1):
        raise CheckpointError(
            f"there is no folder {source}", expected="a checkpoint folder or a hub id such as EleutherAI/pythia-70m", remedy="correct the path"
        )


def _another_attention(came: str) -> CheckpointError:
    return CheckpointError(
        came,
        expected="an architecture whose attention is torch's scaled_dot_product_attention",
        remedy="choose GPT-2, GPT-NeoX, Llama, Qwen or another architecture that has it",
    )


def _unreadable(source: str, error: Exception) -> CheckpointError:
    reason = first_line(error)
    if Path(source).is_dir():
        return CheckpointError(
            f"the checkpoint {source} cannot be read: {reason}", expected="config.json and model.safetensors", remedy="write or copy it again"
        )
    return CheckpointError(
        f"the model {source!r} could not be fetched: {reason}",
        expected="a hub id that exists and a reachable hub, or a copy in the cache",
        remedy="download it where there is a network and give the local folder, or point HF_HOME at a cache that holds it",
    )


def _check_decoder(config: PreTrainedConfig, source: str) -> None:
    kind = config.model_type
    if config.is_encoder_decoder or kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES or kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise CheckpointError(
            f"{source} is of type {kind!r}, which is not decoder-only",
            expected="a causal language model: GPT-2, GPT-NeoX, Llama, Qwen and their like",
            remedy="choose a decoder-only checkpoint",
        )
    require_classifier(config, source)


def _check_context(config: PreTrainedConfig, context: int, source: str) -> None:
    limit = getattr(config, "max_position_embeddings", None)
    if limit is not None and context > limit:
        raise CheckpointError(
            f"the context is {context} tokens and {source} was made for {limit} (max_position_embeddings)",
            expected=f"a context of at most {limit}",
            remedy=f"set text.context to {limit} or less, with max_prompt and max_response that fit into it",
        )
    window = getattr(config, "sliding_window", None) or None  # 0 says the same as None: no window
    if window is not None and context > window:
        raise CheckpointError(
            f"the context is {context} tokens and {source} attends to the last {window} only (sliding_window)",
            expected="full causal attention over the whole context",
            remedy=f"set text.context to {window} or less",
        )
