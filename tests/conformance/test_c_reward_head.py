"""Laws C7, C7b and C9: transformers' score plus `config.score_bias` is ours; the head's start; the value network's start."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from instructloop.model.checkpoint import save_checkpoint_dir
from instructloop.model.scalar import ScalarModel, load_scalar, scalar_from_policy
from instructloop.records import RunManifest
from instructloop.text.tokenizer import Tokenizer, load_tokenizer, train_tokenizer
from tiny_models import ARCHITECTURES, tiny

LENGTHS = [11, 3, 17, 1, 8]
MANIFEST = RunManifest(run_id="r", step="reward", config={}, command="", code_version="", seed=0)

architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["a little text"], vocab=258)


def answers(tokenizer: Tokenizer) -> Tensor:
    random = torch.Generator().manual_seed(3)
    tokens_NT = torch.randint(2, 258, (len(LENGTHS), max(LENGTHS)), generator=random)
    return torch.where(torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None], tokens_NT, tokenizer.pad_id)


def reward_model(architecture: str, tokenizer: Tokenizer, dtype: torch.dtype = torch.float32) -> ScalarModel:
    return scalar_from_policy(tiny(architecture, vocab=len(tokenizer), dtype=dtype), tokenizer, seed=7)


@architectures
@torch.no_grad()
def test_a_saved_reward_model_is_transformers_own_plus_the_bias(architecture: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    ours, tokens_NT = reward_model(architecture, tokenizer), answers(tokenizer)
    ours.shift(0.75)
    ours.shift(-2.0)
    save_checkpoint_dir(tmp_path / "reward", ours, tokenizer, manifest=MANIFEST, card="# reward")
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward")
    assert theirs.config.pad_token_id == tokenizer.pad_id == AutoTokenizer.from_pretrained(tmp_path / "reward").pad_token_id
    assert theirs.config.score_bias == -1.25
    expected_N = theirs(input_ids=tokens_NT, attention_mask=(tokens_NT != tokenizer.pad_id).long()).logits[:, 0] + theirs.config.score_bias
    torch.testing.assert_close(ours.scores_at_end(tokens_NT, torch.tensor(LENGTHS)), expected_N, atol=1e-5, rtol=0)
    assert "config.score_bias" in (tmp_path / "reward" / "README.md").read_text()


@architectures
@torch.no_grad()
def test_saving_and_loading_changes_no_score(architecture: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    ours, tokens_NT = reward_model(architecture, tokenizer), answers(tokenizer)
    ours.shift(0.3)
    save_checkpoint_dir(tmp_path / "reward", ours, tokenizer, manifest=MANIFEST, card="# reward")
    again = load_scalar(tmp_path / "reward", precision="fp32", tokenizer=load_tokenizer(tmp_path / "reward"), context=64)
    assert torch.equal(again.scalars(tokens_NT), ours.scalars(tokens_NT))


@architectures
@torch.no_grad()
def test_the_bias_brings_the_mean_to_zero(architecture: str, tokenizer: Tokenizer) -> None:
    model, tokens_NT, length_N = reward_model(architecture, tokenizer), answers(tokenizer), torch.tensor(LENGTHS)
    model.shift(-float(model.scores_at_end(tokens_NT, length_N).mean()))
    assert abs(float(model.scores_at_end(tokens_NT, length_N).mean())) < 1e-4


@architectures
@torch.no_grad()
def test_the_head_starts_at_one_over_root_of_width_plus_one(architecture: str, tokenizer: Tokenizer) -> None:
    """4 heads of 256 weights: their standard deviation lies within 8 % of σ, 3.6 of its own standard deviations."""
    policy = tiny(architecture, width=256, layers=1)
    heads = [scalar_from_policy(policy, tokenizer, seed=seed).head for seed in range(4)]
    weights = torch.cat([head.weight for head in heads]) * 257**0.5
    assert weights.shape == (4, 256)
    assert float(weights.std()) == pytest.approx(1, abs=0.08)
    assert abs(float(weights.mean())) < 0.12
    assert all(head.bias is None for head in heads)


@architectures
@torch.no_grad()
def test_the_trunk_is_the_policys_and_a_copy(architecture: str, tokenizer: Tokenizer) -> None:
    policy = tiny(architecture, vocab=len(tokenizer))
    before = copy.deepcopy(policy.state_dict())
    model = scalar_from_policy(policy, tokenizer, seed=0)
    assert all(torch.equal(model.classifier.base_model.state_dict()[name], tensor) for name, tensor in policy.base_model.state_dict().items())
    for parameter in model.parameters():
        parameter.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in policy.state_dict().items())


def test_the_same_seed_gives_the_same_head_and_leaves_other_streams_alone(tokenizer: Tokenizer) -> None:
    policy = tiny("llama", vocab=len(tokenizer))
    first, second, other = (scalar_from_policy(policy, tokenizer, seed=seed).head.weight for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    scalar_from_policy(policy, tokenizer, seed=0)
    assert torch.equal(torch.rand(3), expected)


@architectures
@torch.no_grad()
def test_the_value_network_starts_as_the_reward_model(architecture: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Law C9: same trunk, same head, same bias, its own weights; and it may be larger or smaller than the policy."""
    reward, tokens_NT = reward_model(architecture, tokenizer), answers(tokenizer)
    reward.shift(0.4)
    save_checkpoint_dir(tmp_path / "reward", reward, tokenizer, manifest=MANIFEST, card="")
    value = load_scalar(tmp_path / "reward", precision="fp32", tokenizer=tokenizer, context=64)
    full = torch.ones(len(LENGTHS), max(LENGTHS) - 1, dtype=torch.bool)
    values_BR = value.values(tokens_NT, torch.ones(len(LENGTHS), dtype=torch.long), full)
    assert torch.equal(values_BR, reward.scalars(tokens_NT)[:, :-1])
    for parameter in value.parameters():
        parameter.zero_()
    assert reward.scalars(tokens_NT).std() > 0


def test_nothing_but_parameters_is_trained(tokenizer: Tokenizer) -> None:
    """The bias is set, never learned."""
    model = reward_model("gpt_neox", tokenizer)
    assert "score_bias" not in dict(model.named_parameters())
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_a_resumed_bias_is_saved(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model, resumed = reward_model("llama", tokenizer), reward_model("llama", tokenizer)
    model.shift(0.5)
    resumed.load_state_dict(model.state_dict())
    save_checkpoint_dir(tmp_path / "reward", resumed, tokenizer, manifest=MANIFEST, card="")
    assert float(load_scalar(tmp_path / "reward", precision="fp32", tokenizer=tokenizer, context=64).score_bias) == 0.5
