"""`instructloop pretrain RECIPE`: step 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instructloop.cli.inputs import Data, Inputs
from instructloop.cli.parsing import RunFolder, TrainingVerb
from instructloop.config import Config


@dataclass(frozen=True, kw_only=True)
class PretrainArguments(RunFolder):
    """Step 0: a base model and a tokenizer from text, for people who bring none."""

    documents: Path
    """Snapshot of texts, with the splits `train` and `valid`."""
    tokenizer: str | None = None
    """Directory or hub id of a tokenizer; without it a byte-level BPE is trained on the texts."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    VERB.run(argv)


def _train(asked: PretrainArguments, config: Config) -> Path:
    from instructloop.steps.step0_pretrain import PretrainInputs, pretrain

    inputs = PretrainInputs(documents=asked.documents, tokenizer=asked.tokenizer)
    return pretrain(config, inputs, asked.out, allow_inexact=asked.allow_inexact)


VERB = TrainingVerb(
    "pretrain",
    PretrainArguments,
    sections=("text", "run", "pretrain"),
    inputs=Inputs(snapshots={"documents": Data("documents")}),
    train=_train,
)
