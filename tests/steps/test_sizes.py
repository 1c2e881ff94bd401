"""Models of unequal size and kind: every architecture as policy, small policies with large reward models, and the reverse."""

from pathlib import Path
from typing import Any

import pytest

from instructloop.model.scalar import load_scalar
from instructloop.steps.ppo_run import train_ppo
from instructloop.text.tokenizer import load_tokenizer
from step_world import TinyWorld, tiny_config


@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neox", "llama", "qwen2", "qwen3"])
def test_every_architecture_is_trained_in_float64(architecture: str, tmp_path: Path) -> None:
    """One iteration of PPO-ptx from folder to folder, with every law that a run checks."""
    world = TinyWorld.make(tmp_path, architecture, architecture)
    model = train_ppo(tiny_config("fp64", iterations=1), world.ppo_inputs, tmp_path / "ppo")
    assert (model / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("policy", "reward", "shape"),
    [
        ("gpt2", "llama", {"width": 64, "layers": 3}),
        ("qwen3", "gpt2", {"width": 16, "layers": 1}),
        ("gpt_neox", "gpt_neox", {"width": 16, "layers": 1}),
        ("llama", "gpt_neox", {"width": 64, "layers": 3}),
    ],
)
def test_the_reward_model_may_be_larger_or_smaller_or_of_another_kind(policy: str, reward: str, shape: dict[str, Any], tmp_path: Path) -> None:
    """The value network follows the reward model (the paper: one 6 B reward model for policies of every size)."""
    world = TinyWorld.make(tmp_path, policy, reward, **shape)
    train_ppo(tiny_config(iterations=1), world.ppo_inputs, tmp_path / "ppo")
    tokenizer = load_tokenizer(world.policy)
    scalar = load_scalar(tmp_path / "reward", precision="fp32", tokenizer=tokenizer, context=64)
    assert scalar.head.in_features == shape["width"]
