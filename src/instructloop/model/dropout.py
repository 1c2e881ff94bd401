"""Dropout on the residual stream, and nowhere else (law A6).

The paper's SFT uses residual dropout 0.2. Llama and Qwen have no such setting and GPT-NeoX's also drops embeddings, so
it is done by hooks, alike on all architectures: on what each block's attention and MLP add to the residual stream.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from transformers import PreTrainedModel

from instructloop.errors import CheckpointError

ATTENTION_NAMES = ("attn", "attention", "self_attn", "self_attention")
MLP_NAMES = ("mlp", "feed_forward", "ffn", "block_sparse_moe")


def dropout_off(model: nn.Module) -> None:
    """Set every dropout probability of the model to 0: in dropout modules, in attention modules, in its configuration."""
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    config = getattr(model, "config", None)
    for name, value in config.to_dict().items() if config is not None else ():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)


@contextmanager
def residual_dropout(model: PreTrainedModel, p: float) -> Iterator[None]:
    """Within the context the model is in training mode and drops each element of every attention and MLP output with probability `p`.

    Outside, and in eval mode inside, nothing is dropped. Raises `CheckpointError` for an architecture whose blocks are not
    recognised.
    """
    handles = [module.register_forward_hook(_drop(p)) for module in residual_branches(model)] if p > 0 else []
    was_training = model.training
    model.train()
    try:
        yield
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()


def residual_branches(model: PreTrainedModel) -> list[nn.Module]:
    """The attention and the MLP of every block, in order: 2 · layers modules."""
    blocks = _blocks(model)
    branches = [_child(block, names) for block in blocks for names in (ATTENTION_NAMES, MLP_NAMES)]
    found = [branch for branch in branches if branch is not None]
    if len(found) < len(branches) or not blocks:
        raise CheckpointError(
            f"residual dropout does not know the blocks of {type(model).__name__}",
            expected="blocks with an attention and an MLP each",
            remedy="set residual_dropout to 0 for this architecture",
        )
    return found


def _blocks(model: PreTrainedModel) -> list[nn.Module]:
    layers = model.config.get_text_config().num_hidden_layers
    lists = [module for module in model.base_model.children() if isinstance(module, nn.ModuleList) and len(module) == layers]
    return list(lists[0]) if len(lists) == 1 else []


def _child(block: nn.Module, names: tuple[str, ...]) -> nn.Module | None:
    return next((child for name, child in block.named_children() if name in names), None)


def _drop(p: float):
    def hook(module: nn.Module, _: object, output: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        if not module.training:
            return output
        return (_dropped(output[0], p), *output[1:]) if isinstance(output, tuple) else _dropped(output, p)

    return hook


def _dropped(output: Tensor, p: float) -> Tensor:
    """Each element 0 with probability `p`, and divided by 1 − p otherwise. A CPU draws uniform numbers more than twice as fast as torch's masks."""
    if output.device.type != "cpu":
        return dropout(output, p)
    kept = torch.rand(output.shape) >= p
    return output * kept.to(output.dtype).div_(1 - p)
