"""Law A6: residual dropout acts on each block's attention and MLP outputs, on every architecture, and nothing else drops."""

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig

from instructloop.errors import CheckpointError
from instructloop.model.dropout import dropout_off, residual_branches, residual_dropout
from instructloop.model.policy import hidden_states
from tiny_models import ARCHITECTURES, tiny

TOKENS_BT = torch.arange(2, 26).reshape(2, 12)

architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)


@architectures
def test_acts_on_every_branch_at_its_rate_and_scales_what_is_kept(architecture: str) -> None:
    """Of each branch's output a share p is zero and the rest is divided by 1 − p, against the same pass without dropout."""
    model, dropped, kept = tiny(architecture), [], []
    branches = residual_branches(model)
    assert len(branches) == 2 * 2

    def record(store: list[Tensor]):
        return lambda _module, _inputs, output: store.append((output[0] if isinstance(output, tuple) else output).detach())

    torch.manual_seed(0)
    with residual_dropout(model, 0.2), torch.no_grad():
        for branch in branches:
            branch.register_forward_hook(record(dropped))
            branch.register_forward_hook(record(kept), prepend=True)
        hidden_states(model, TOKENS_BT)
    assert len(dropped) == len(kept) == 4
    for after, before in zip(dropped, kept, strict=True):
        zero = after == 0
        assert 0.12 < zero.double().mean() < 0.28  # 768 draws of 0.2: standard deviation 0.014
        torch.testing.assert_close(after[~zero], before[~zero] / 0.8, atol=1e-12, rtol=0)


@architectures
@torch.no_grad()
def test_off_in_eval_off_outside_and_off_at_zero(architecture: str) -> None:
    model = tiny(architecture)
    expected = hidden_states(model, TOKENS_BT)
    with residual_dropout(model, 0.2):
        assert not torch.equal(hidden_states(model, TOKENS_BT), expected)
        model.eval()
        assert torch.equal(hidden_states(model, TOKENS_BT), expected)
    assert not model.training
    assert torch.equal(hidden_states(model.train(), TOKENS_BT), expected)
    with residual_dropout(model, 0.0):
        assert torch.equal(hidden_states(model, TOKENS_BT), expected)


@architectures
def test_attention_and_embeddings_are_never_dropped(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In training mode attention is called with dropout 0, and every dropout module has probability 0."""
    rates: list[float] = []
    attention = torch.nn.functional.scaled_dot_product_attention

    def watched(*args: Tensor, dropout_p: float = 0.0, **kwargs: object) -> Tensor:
        rates.append(dropout_p)
        return attention(*args, dropout_p=dropout_p, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    model = tiny(architecture)
    with residual_dropout(model, 0.2):
        hidden_states(model, TOKENS_BT)
    assert rates == [0.0, 0.0]
    assert all(module.p == 0 for module in model.modules() if isinstance(module, nn.Dropout))


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=32),
        GPTNeoXConfig(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=32, hidden_dropout=0.3, attention_dropout=0.3
        ),
        LlamaConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=32, attention_dropout=0.3),
    ],
    ids=lambda config: config.model_type,
)
@torch.no_grad()
def test_dropout_off_silences_what_the_checkpoint_asks_for(config) -> None:
    """GPT-2's own configuration drops residuals, embeddings and attention at 0.1 each."""
    model, tokens_BT = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").train(), TOKENS_BT
    assert not torch.equal(hidden_states(model, tokens_BT), hidden_states(model, tokens_BT))
    dropout_off(model)
    assert torch.equal(hidden_states(model, tokens_BT), hidden_states(model.eval(), tokens_BT))
    assert all(value == 0 for name, value in model.config.to_dict().items() if "drop" in name and isinstance(value, float))


def test_unknown_blocks_are_refused() -> None:
    model = tiny("llama")
    block = model.model.layers[1]
    block.novelty = block.mlp
    del block.mlp
    with pytest.raises(CheckpointError, match="does not know the blocks of LlamaForCausalLM"), residual_dropout(model, 0.1):
        pass
