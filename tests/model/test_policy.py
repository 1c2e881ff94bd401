"""Fresh models, and the precision each number is computed in."""

import pytest
import torch

from instructloop.config import ModelShape
from instructloop.model.policy import autocast, check_fit, hidden_states, new_policy, project, response_logprobs
from instructloop.model.scalar import scalar_from_policy
from instructloop.text.tokenizer import Tokenizer, train_tokenizer
from tiny_models import ARCHITECTURES, tiny

TOKENS_BT = torch.arange(2, 26).reshape(2, 12)
FAMILIES = pytest.mark.parametrize("family", ["gpt_neox", "llama"])


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a little text"], vocab=258)


@FAMILIES
def test_the_seed_makes_the_model_and_disturbs_no_other_stream(family: str, tokenizer: Tokenizer) -> None:
    shape = ModelShape(family=family, layers=2, width=32, heads=4, vocab=258, context=64)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, other = (new_policy(shape, tokenizer, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.get_input_embeddings().weight, other.get_input_embeddings().weight)


@FAMILIES
def test_shape_special_tokens_and_initial_spread(family: str, tokenizer: Tokenizer) -> None:
    shape = ModelShape(family=family, layers=8, width=128, heads=4, vocab=258, context=64)
    model = new_policy(shape, tokenizer, seed=0)
    check_fit(model)
    assert not model.training
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert (model.config.eos_token_id, model.config.pad_token_id) == (tokenizer.end_id, tokenizer.pad_id)
    assert (len(model.base_model.layers), model.config.max_position_embeddings) == (8, 64)
    matrices = {name: float(parameter.detach().std()) for name, parameter in model.named_parameters() if parameter.ndim == 2}
    writers = ("dense.weight", "dense_4h_to_h.weight", "o_proj.weight", "down_proj.weight")
    assert sum(name.endswith(writers) for name in matrices) == 2 * 8
    for name, std in matrices.items():
        assert std == pytest.approx(0.02 / 4 if name.endswith(writers) else 0.02, rel=0.05), name  # √(2·8) = 4


@FAMILIES
def test_parameters_of_the_default_shape(family: str, tokenizer: Tokenizer) -> None:
    """12·width² a layer (±2 %), by hand: 6 · 12 · 320² = 7.37 million, and one embedding matrix."""
    model = new_policy(ModelShape(family=family), tokenizer, seed=0)
    matrices = sum(parameter.numel() for parameter in model.parameters() if parameter.ndim == 2)
    assert matrices - 258 * 320 == pytest.approx(7_372_800, rel=0.02)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bf16_keeps_masters_residual_stream_heads_and_logprobs_in_float32(architecture: str, tokenizer: Tokenizer) -> None:
    model = tiny(architecture, dtype=torch.float32)
    scalar = scalar_from_policy(model, tokenizer, seed=0)
    with autocast("bf16", "cpu"):
        hidden_BTD = hidden_states(model, TOKENS_BT)
        logits_BTV = project(model)(hidden_BTD)
        logp_BR, _ = response_logprobs(model, TOKENS_BT, torch.tensor([3, 5]), torch.ones(2, 7, dtype=torch.bool), chunk=5)
        score_B = scalar.scores_at_end(TOKENS_BT, torch.tensor([12, 12]))
        trunk_D = hidden_states(scalar.classifier, TOKENS_BT)[:, -1]
    assert logits_BTV.dtype == hidden_BTD.dtype == logp_BR.dtype == score_B.dtype == torch.float32
    torch.testing.assert_close(logits_BTV, hidden_BTD @ model.get_output_embeddings().weight.T, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(score_B, trunk_D @ scalar.head.weight[0], atol=1e-6, rtol=1e-6)
    (logp_BR.sum() + score_B.sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.dtype == torch.float32 for parameter in model.parameters())
    assert scalar.head.weight.grad is not None


@torch.no_grad()
def test_bf16_is_near_float32_and_float32_is_left_alone(tokenizer: Tokenizer) -> None:
    model = new_policy(ModelShape(layers=2, width=64, heads=4, vocab=258, context=64), tokenizer, seed=0)
    arguments = (model, TOKENS_BT, torch.tensor([3, 5]), torch.ones(2, 7, dtype=torch.bool))
    exact_BR, _ = response_logprobs(*arguments, chunk=64)
    with autocast("fp32", "cpu"):
        assert torch.equal(response_logprobs(*arguments, chunk=64)[0], exact_BR)
    with autocast("bf16", "cpu"):
        close_BR, _ = response_logprobs(*arguments, chunk=64)
    assert 0 < (close_BR - exact_BR).abs().mean() < 0.03


def test_nothing_under_the_mask_gives_zeros() -> None:
    logp_BR, entropy_BR = response_logprobs(tiny("gpt2"), TOKENS_BT, torch.tensor([3, 5]), torch.zeros(2, 4, dtype=torch.bool), chunk=8)
    assert logp_BR.shape == entropy_BR.shape == (2, 4)
    assert not logp_BR.any()
    assert not entropy_BR.any()
