"""`instructloop sft RECIPE`: step 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from instructloop.cli.inputs import Data, Inputs
from instructloop.cli.parsing import RunFolder, TrainingVerb
from instructloop.config import Config


@dataclass(frozen=True, kw_only=True)
class SFTArguments(RunFolder):
    """Step 1: supervised fine-tuning on demonstrations; a checkpoint per epoch, the one with the lowest validation loss in `model/`."""

    model: str
    """Directory or hub id of the base model."""
    demonstrations: Path
    """Snapshot of demonstrations, with the splits `train` and `valid`."""
    pretraining: Path | None = None
    """Snapshot of texts; needed where the recipe mixes pretraining text in."""
    stage: Literal["sft", "sft_ptx_init"] = "sft"
    """sft: the model to compare against; sft_ptx_init: the start and KL reference of step 3."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    VERB.run(argv)


def _train(asked: SFTArguments, config: Config) -> Path:
    from instructloop.steps.step1_sft import SFTInputs, train_sft

    inputs = SFTInputs(model=asked.model, demonstrations=asked.demonstrations, pretraining=asked.pretraining)
    return train_sft(config, inputs, asked.out, stage=asked.stage, allow_inexact=asked.allow_inexact)


VERB = TrainingVerb(
    "sft",
    SFTArguments,
    sections=("text", "run", "sft", "sft_ptx_init"),
    inputs=Inputs(snapshots={"demonstrations": Data("demonstrations"), "pretraining": Data("documents", splits=("train",))}, models=("model",)),
    train=_train,
    stages=("sft", "sft_ptx_init"),
)
