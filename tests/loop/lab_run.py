"""A base for the small world that takes seconds, and settings with which the demo takes seconds on it."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

from instructloop.config import Config, ModelShape
from instructloop.lab.documents import documents
from instructloop.loop.small_world import TEXT_SEED, Sizes, held_out_documents
from instructloop.recipes.demo import demo
from instructloop.steps.step0_pretrain import PretrainInputs, pretrain
from instructloop.store.snapshots import freeze

SIZES = Sizes(
    prompts=64, demonstrations=24, ranked=16, valid=4, development=16, documents=400, held_out_documents=24, test_prompts=40, compared=16,
)  # fmt: skip


def shrunk() -> Config:
    """The recipe of the demo, for one layer and a few updates, in float32."""
    config = demo()
    shape = ModelShape(family="gpt_neox", layers=1, width=64, heads=2, vocab=1024, context=256)
    return replace(
        config,
        run=replace(config.run, precision="fp32"),
        pretrain=replace(config.pretrain, shape=shape, optimizer=replace(config.pretrain.optimizer, lr=1e-2, warmup=10), batch=8, updates=60),
        sft=replace(config.sft, epochs=2, batch=10),
        sft_ptx_init=replace(config.sft_ptx_init, epochs=2, batch=10),
        reward=replace(config.reward, batch=4),
        ppo=replace(config.ppo, iterations=2, episodes=16, valid_every=1, valid_prompts=8, samples_every=1),
    )


def make_tiny_base(folder: Path) -> Path:
    """A model of one layer that has read 2,000 documents of the lab about once."""
    splits = {"train": islice(documents(TEXT_SEED), 2_000), "valid": held_out_documents(100)}
    freeze(folder / "documents", splits, query="the lab", source_of=lambda _: "lab")
    return pretrain(shrunk(), PretrainInputs(documents=folder / "documents"), folder / "base")
