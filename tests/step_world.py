"""A tiny world for tests of the steps: snapshots, checkpoints of any architecture, the four models of PPO in memory."""

from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from instructloop.config import PPO, SFT, Config, ModelShape, Optimizer, Pretrain, Reward, Run, Text
from instructloop.loop.toy_data import ANIMALS, COLOURS, freeze_toy_data
from instructloop.model.checkpoint import save_checkpoint_dir
from instructloop.model.ema import Ema
from instructloop.model.scalar import ScalarModel, scalar_from_policy
from instructloop.protocols import Sampling
from instructloop.records import RunManifest
from instructloop.rollout.engine import LocalEngine
from instructloop.steps.optimization import make_optimizer
from instructloop.steps.ppo_run import PPOInputs
from instructloop.steps.scoring import reward_model_score
from instructloop.steps.step1_sft import SFTInputs
from instructloop.steps.step2_reward import RewardInputs
from instructloop.steps.step3_ppo import Coefficients, Iteration, Models, Optimizers
from instructloop.text.tokenizer import Tokenizer, train_tokenizer
from tiny_models import tiny

WORDS = tuple(product(ANIMALS, COLOURS))
VOCAB = 320
"""Bytes, end, padding, and merges enough to make words of the toy world short."""
MANIFEST = RunManifest(run_id="r", step="sft", config={}, command="", code_version="", seed=0)
DTYPES = {"fp32": torch.float32, "bf16": torch.float32, "fp64": torch.float64}


@cache
def tokenizer() -> Tokenizer:
    """Byte-level; 0 is the end, 1 the padding."""
    texts = [f"what does the {colour} {animal} see?\nthe {colour} {animal} sees a {animal}. i do not know." for animal, colour in WORDS]
    return train_tokenizer(texts, vocab=VOCAB)


def tiny_config(precision: Any = "fp32", **ppo: Any) -> Config:
    """Every step in a handful of updates; `ppo` are settings of step 3."""
    supervised, steady = Optimizer(lr=3e-3), Optimizer(lr=3e-3, decay="constant", warmup=1, eps=1e-5)
    defaults = {
        "iterations": 4,
        "episodes": 8,
        "minibatches": 2,
        "ptx_coef": 0.5,
        "ptx_ratio": 1,
        "ptx_length": 16,
        "valid_every": 2,
        "samples_every": 1,
    }
    return Config(
        text=Text(context=64, max_prompt=52, max_response=10, separator="\n"),
        run=Run(precision=precision, micro_batch=4, save_every=2),
        pretrain=Pretrain(
            shape=ModelShape(layers=1, width=16, heads=2, vocab=VOCAB, context=64), optimizer=supervised, batch=4, length=32, updates=6
        ),
        sft=SFT(optimizer=supervised, epochs=2, batch=28),
        sft_ptx_init=SFT(optimizer=supervised, epochs=1, batch=10, pretraining_share=0.1, pretraining_length=16),
        reward=Reward(optimizer=supervised, batch=14),
        ppo=PPO(**{"optimizer": steady, "value_optimizer": steady, "valid_prompts": 4, **defaults, **ppo}),
    )


@dataclass(frozen=True)
class TinyWorld:
    """Snapshots and checkpoints on disk."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, policy: str = "gpt_neox", reward: str = "gpt_neox", **reward_shape: int) -> "TinyWorld":
        """Toy data and a random policy and reward model of the given architectures."""
        freeze_toy_data(folder / "data", 0)
        write_policy(folder / "policy", policy)
        write_reward(folder / "reward", reward, **reward_shape)
        return cls(folder)

    @property
    def policy(self) -> str:
        return str(self.folder / "policy")

    def snapshot(self, name: str) -> Path:
        return self.folder / "data" / name

    @property
    def sft_inputs(self) -> SFTInputs:
        return SFTInputs(model=self.policy, demonstrations=self.snapshot("demonstrations"))

    @property
    def mixed_sft_inputs(self) -> SFTInputs:
        return replace(self.sft_inputs, pretraining=self.snapshot("documents"))

    @property
    def reward_inputs(self) -> RewardInputs:
        return RewardInputs(model=self.policy, rankings=self.snapshot("rankings"), demonstrations=self.snapshot("demonstrations"))

    @property
    def ppo_inputs(self) -> PPOInputs:
        reward = str(self.folder / "reward")
        return PPOInputs(policy=self.policy, reward=reward, prompts=self.snapshot("prompts"), pretraining=self.snapshot("documents"))


def write_policy(folder: Path, architecture: str, **shape: int) -> None:
    """A random policy that knows the toy tokenizer."""
    policy = tiny(architecture, vocab=VOCAB, dtype=torch.float32, **shape)
    save_checkpoint_dir(folder, policy, tokenizer(), manifest=MANIFEST, card="")


def write_reward(folder: Path, architecture: str, **shape: int) -> None:
    """A random reward model that knows the toy tokenizer."""
    trunk = tiny(architecture, vocab=VOCAB, dtype=torch.float32, seed=5, **shape)
    save_checkpoint_dir(folder, scalar_from_policy(trunk, tokenizer(), seed=1), tokenizer(), manifest=MANIFEST, card="")


@dataclass(frozen=True)
class Stage:
    """Step 3 in memory: what `ppo_iteration` and its parts are called with."""

    models: Models
    optimizers: Optimizers
    engine: LocalEngine
    at: Iteration
    config: Config

    def at_iteration(self, number: int, **cfg: Any) -> Iteration:
        """The settings of another iteration, or with other settings of step 3."""
        return replace(self.at, number=number, cfg=replace(self.at.cfg, **cfg))


def stage(config: Config, architecture: str = "llama", *, reward: str | None = None) -> Stage:
    """A random policy, its frozen copy, and value network and reward model with the same weights (law C9)."""
    dtype, vocab = DTYPES[config.run.precision], VOCAB
    policy, reference = (tiny(architecture, vocab=vocab, dtype=dtype) for _ in range(2))
    value, scorer = (scalar_from_policy(tiny(reward or architecture, vocab=vocab, dtype=dtype, seed=5), tokenizer(), seed=1) for _ in range(2))
    cfg = config.ppo
    return Stage(
        models=Models(policy, reference, value, reward_model_score(scorer, config.run), Ema(policy, cfg.ema) if cfg.ema else None),
        optimizers=Optimizers(make_optimizer(policy, cfg.optimizer), make_optimizer(value, cfg.value_optimizer)),
        engine=LocalEngine(policy, pad_id=tokenizer().pad_id, precision=config.run.precision),
        at=Iteration(
            number=0, cfg=cfg, run=config.run, coefs=Coefficients(cfg.kl.coef, cfg.trust_region.coef),
            sampling=Sampling(max_new_tokens=config.text.max_response, temperature=cfg.temperature, stop_ids=stop_ids()), pad_id=tokenizer().pad_id,
        ),
        config=config,
    )  # fmt: skip


def stop_ids() -> frozenset[int]:
    """The end, and every ninth token besides: random models then give answers of all lengths, capped ones included."""
    return frozenset({tokenizer().end_id, *range(5, VOCAB, 9)})


def random_prompts(count: int, *, seed: int = 0) -> list[list[int]]:
    """Prompts of 1 to 9 random tokens."""
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 10, (count,), generator=draw).tolist()
    return [torch.randint(2, VOCAB, (length,), generator=draw).tolist() for length in lengths]


def random_rows(rows: int, length: int = 16, *, seed: int = 0) -> Tensor:
    """Pretraining rows of random tokens."""
    return torch.randint(2, VOCAB, (rows, length), generator=torch.Generator().manual_seed(seed))


def gradients_of(model: PreTrainedModel | ScalarModel) -> dict[str, Tensor]:
    """The accumulated gradient of every parameter, zero where none has come; the buffers are cleared."""
    found = {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    return found


def weights_of(model: PreTrainedModel | ScalarModel) -> dict[str, Tensor]:
    """A copy of every parameter."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def assert_same_bits(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Equal names, and equal tensors to the last bit."""
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert ours.keys() == theirs.keys()


def assert_close(ours: dict[str, Tensor], theirs: dict[str, Tensor], *, within: float) -> None:
    """Equal names, and equal tensors but for rounding relative to the largest entry of all."""
    assert ours.keys() == theirs.keys()
    scale = max(float(tensor.abs().max()) for tensor in theirs.values())
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, atol=within * scale, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
