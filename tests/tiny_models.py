"""Tiny random models of every supported architecture, for tests: width 32, two layers, made in a few milliseconds."""

import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig, PreTrainedConfig, PreTrainedModel, Qwen2Config, Qwen3Config

ARCHITECTURES = ("gpt2", "gpt_neox", "llama", "qwen2", "qwen3")

END_ID, PAD_ID = 0, 1
"""Ids the configurations name as end and padding."""


def tiny(
    architecture: str,
    *,
    vocab: int = 96,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    width: int = 32,
    layers: int = 2,
    context: int = 128,
) -> PreTrainedModel:
    """A causal language model in eval mode without dropout; the same arguments give the same weights.

    Weights are ten times larger than a fresh model's, and biases and norms are random, so that a wrong mask or
    position moves log-probabilities by whole nats instead of hiding in rounding.
    """
    config = tiny_config(architecture, vocab=vocab, width=width, layers=layers, context=context)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa").to(dtype)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.2 * torch.randn(parameter.shape).to(dtype))
    return model.eval()


def tiny_config(architecture: str, *, vocab: int, width: int, layers: int, context: int) -> PreTrainedConfig:
    """Grouped-query attention, tied and untied embeddings and partial rotation are each met in some architecture."""
    ids = {"vocab_size": vocab, "eos_token_id": END_ID, "pad_token_id": PAD_ID, "bos_token_id": None, "initializer_range": 0.2}
    if architecture == "gpt2":
        dropouts = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        return GPT2Config(n_embd=width, n_layer=layers, n_head=4, n_positions=context, **dropouts, **ids)
    shape = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 4, "max_position_embeddings": context}
    if architecture == "gpt_neox":
        return GPTNeoXConfig(intermediate_size=4 * width, rotary_pct=0.5, **shape, **ids)
    grouped = shape | {"intermediate_size": 2 * width, "num_key_value_heads": 2}
    if architecture == "llama":
        return LlamaConfig(**grouped, **ids)
    if architecture == "qwen2":
        return Qwen2Config(tie_word_embeddings=True, **grouped, **ids)
    if architecture == "qwen3":
        return Qwen3Config(head_dim=width // 4, **grouped, **ids)
    raise ValueError(f"{architecture!r} is none of {ARCHITECTURES}")
