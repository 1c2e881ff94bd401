"""A tokenizer, tiny checkpoints and snapshots for tests of what is built on them: made in milliseconds, width 16."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from instructloop.config import Config, ModelShape, Reward, Run, Text
from instructloop.model.checkpoint import save_checkpoint_dir
from instructloop.model.policy import new_policy
from instructloop.model.scalar import scalar_from_policy
from instructloop.recipes import RECIPES
from instructloop.records import Completion, Demonstration, Prompt, Ranking, Record, RunManifest
from instructloop.store.snapshots import freeze
from instructloop.text.tokenizer import Tokenizer, train_tokenizer

TEXT = Text(context=48, max_prompt=32, max_response=16, separator="\n")
SHAPE = ModelShape(layers=1, width=16, heads=2, vocab=300, context=96)
WORDS = "the red fox sees a blue hen and wants green grass what does it say yes no"


def toy_config() -> Config:
    """The recipe `tiny`, smaller still."""
    tiny = RECIPES["tiny"]()
    reward = Reward(optimizer=replace(tiny.reward.optimizer, lr=1e-2), epochs=3, batch=8)
    run = Run(precision="fp32", micro_batch=32, save_every=100)
    return replace(
        tiny, text=TEXT, run=run, reward=reward, ppo=replace(tiny.ppo, ptx_length=32), sft_ptx_init=replace(tiny.sft_ptx_init, pretraining_length=32)
    )


def toy_tokenizer() -> Tokenizer:
    return train_tokenizer([WORDS] * 4, vocab=300)


def write_policy(folder: Path, tokenizer: Tokenizer, *, seed: int = 0, text: Text = TEXT) -> Path:
    """A checkpoint of a fresh policy."""
    policy = new_policy(SHAPE, tokenizer, seed=seed)
    save_checkpoint_dir(folder, policy, tokenizer, manifest=manifest("sft", text), card="a toy")
    return folder


def write_reward(folder: Path, tokenizer: Tokenizer, *, seed: int = 0) -> Path:
    """A checkpoint of an untrained reward model."""
    policy = new_policy(SHAPE, tokenizer, seed=seed)
    save_checkpoint_dir(folder, scalar_from_policy(policy, tokenizer, seed), tokenizer, manifest=manifest("reward", TEXT), card="a toy")
    return folder


def manifest(step: str, text: Text) -> RunManifest:
    config = {"text": vars(text), "run": vars(Run(precision="fp32"))}
    return RunManifest(run_id="toy", step=step, config=config, command="", code_version="", seed=0)


def prompts(count: int) -> list[Prompt]:
    return [Prompt(id=f"p{n}", text=f"what does {WORDS.split()[n % 13]} {n} say?", user_id=f"u{n}") for n in range(count)]


def ranking(number: int, labeler: str, texts: Iterable[str]) -> Ranking:
    """A ranking of answers given best first, all different."""
    prompt = prompts(number + 1)[number]
    completions = tuple(Completion(id=f"{labeler}-{number}-{place}", prompt_id=prompt.id, text=text) for place, text in enumerate(texts))
    return Ranking(prompt=prompt, completions=completions, groups=tuple((completion.id,) for completion in completions), labeler_id=labeler)


def freeze_demonstrations(folder: Path, count: int = 6) -> Path:
    return freeze_records(folder, {"train": [Demonstration(prompt=prompt, text="yes", labeler_id="l") for prompt in prompts(count)]})


def freeze_records(folder: Path, splits: Mapping[str, Iterable[Record]]) -> Path:
    freeze(folder, splits, query="a test")
    return folder
