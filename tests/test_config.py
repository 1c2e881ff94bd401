"""Settings are checked at birth: what would fail later, or quietly turn a sign, is refused with the value and the remedy."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.config import PPO, SFT, Config, Optimizer, Pretrain, Reward, RewardKL, Run, Text, TrustRegion
from instructloop.errors import ConfigError
from instructloop.recipes import RECIPES

RATE = Optimizer(lr=1e-3)
WHOLE: dict[type, dict[str, Any]] = {
    Optimizer: {"lr": 1e-3}, Run: {}, Pretrain: {"optimizer": RATE, "updates": 1}, SFT: {"optimizer": RATE}, Reward: {"optimizer": RATE},
    RewardKL: {}, TrustRegion: {}, PPO: {"optimizer": RATE, "value_optimizer": RATE},
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        (Optimizer, "lr", 0), (Optimizer, "eps", 0), (Optimizer, "weight_decay", -1), (Optimizer, "final_fraction", -0.1),
        (Optimizer, "warmup_from", 5),
        (Optimizer, "beta2", 1), (Optimizer, "max_grad_norm", 0), (Run, "micro_batch", 0), (Run, "save_every", 0), (Run, "loss_chunk", 0),
        (Pretrain, "updates", 0), (Pretrain, "batch", 0), (Pretrain, "length", 1), (Pretrain, "length", 513),
        (SFT, "epochs", 0), (SFT, "batch", 0), (SFT, "residual_dropout", 1), (SFT, "pretraining_share", 0.01), (SFT, "pretraining_length", 1),
        (Reward, "batch", 0), (Reward, "epochs", 0), (RewardKL, "coef", -0.1), (RewardKL, "horizon", 0),
        (TrustRegion, "clip", 1), (TrustRegion, "coef", 0),
        (PPO, "iterations", 0), (PPO, "episodes", 0), (PPO, "minibatches", 7), (PPO, "valid_every", 0),
        (PPO, "valid_prompts", 0), (PPO, "ptx_length", 1),
        (PPO, "ptx_coef", -1), (PPO, "importance_cap", -1), (PPO, "value_clip", -1), (PPO, "gamma", 0), (PPO, "lam", 1.1), (PPO, "temperature", 0),
        (PPO, "ema", 1), (PPO, "samples_every", 0),
    ],
)  # fmt: skip
def test_a_bad_setting_is_refused_by_name_and_value(settings: type, name: str, value: float) -> None:
    settings(**WHOLE[settings])
    with pytest.raises(ConfigError, match=str(value).replace(".", r"\.")):
        settings(**{**WHOLE[settings], name: value})


@given(prompt=st.integers(-5, 300), response=st.integers(-5, 300), context=st.integers(1, 300))
def test_prompt_and_response_fit_into_the_context_or_are_refused_with_the_largest_that_fit(prompt: int, response: int, context: int) -> None:
    if min(prompt, response) >= 1 and prompt + response <= context:
        assert Text(context=context, max_prompt=prompt, max_response=response).context == context
        return
    with pytest.raises(ConfigError) as refused:
        Text(context=context, max_prompt=prompt, max_response=response)
    assert {str(prompt), str(response), str(context)} <= set(str(refused.value).replace(";", " ").replace(",", " ").split())
    assert f"the prompt can be {max(context - response, 0)} at most" in str(refused.value)


def test_the_engines_values_are_no_reference_in_bf16() -> None:
    tiny = RECIPES["tiny"]()
    assert Config(**{**vars(tiny), "ppo": replace(tiny.ppo, old_logprobs="engine")}).run.precision == "fp32"
    with pytest.raises(ConfigError, match="law A1"):
        replace(tiny, run=replace(tiny.run, precision="bf16"), ppo=replace(tiny.ppo, old_logprobs="engine"))


def test_the_paper_recipes_hold_the_papers_figures() -> None:
    """InstructGPT App. C, from its text."""
    paper = RECIPES["paper_1p3b"]()
    assert (paper.sft.epochs, paper.sft.optimizer.lr, paper.sft.batch, paper.sft.residual_dropout) == (16, 9.65e-6, 32, 0.2)
    assert (paper.sft_ptx_init.epochs, paper.sft_ptx_init.optimizer.lr, paper.sft_ptx_init.pretraining_share) == (2, 5e-6, 0.1)
    assert (paper.reward.epochs, paper.reward.batch, paper.reward.optimizer.lr, paper.reward.optimizer.final_fraction) == (1, 64, 9e-6, 0.1)
    ppo = paper.ppo
    assert (ppo.episodes, ppo.minibatches, ppo.inner_epochs, ppo.iterations * ppo.episodes) == (512, 8, 1, 256_000)
    assert (ppo.kl.coef, ppo.trust_region.clip, ppo.ema, ppo.temperature, ppo.gamma, ppo.ptx_ratio) == (0.02, 0.2, 0.992, 1.0, 1.0, 8)
    assert (ppo.optimizer.warmup, ppo.optimizer.warmup_from, ppo.optimizer.decay, ppo.value_optimizer.lr) == (10, 0.1, "constant", 9e-6)
    assert (paper.text.max_prompt, paper.text.max_response, paper.text.context) == (1024, 1024, 2048)
    assert RECIPES["paper_6b"]().sft_ptx_init.optimizer.lr == 1.04e-5
    big = RECIPES["paper_175b"]()
    assert (big.sft.optimizer.lr, big.sft.batch, big.sft_ptx_init.optimizer.lr, big.ppo.value_optimizer.lr) == (5.03e-6, 8, 2.45e-6, 5e-6)
