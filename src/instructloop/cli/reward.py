"""`instructloop reward RECIPE`: step 2."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instructloop.cli.inputs import Data, Inputs
from instructloop.cli.parsing import RunFolder, TrainingVerb
from instructloop.config import Config


@dataclass(frozen=True, kw_only=True)
class RewardArguments(RunFolder):
    """Step 2: a reward model from rankings of K answers."""

    model: str
    """Directory or hub id the trunk comes from: the SFT model, by default of the paper; another size than the policy is fine."""
    rankings: Path
    """Snapshot of rankings, with the splits `train` and `valid`."""
    demonstrations: Path
    """Snapshot of demonstrations; those of its split `train` score 0 on average in the end."""
    folds: int = 0
    """Cross-validate by labeler group instead (paper §4.1): as many trainings, each without the rankings of one group; 0 trains one model on all."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    VERB.run(argv)


def _train(asked: RewardArguments, config: Config) -> Path:
    from instructloop.loop.folds import cross_validate
    from instructloop.loop.reward_run import train_with_report
    from instructloop.steps.step2_reward import RewardInputs

    inputs = RewardInputs(model=asked.model, rankings=asked.rankings, demonstrations=asked.demonstrations)
    if asked.folds:
        return cross_validate(config, inputs, asked.out, folds=asked.folds, allow_inexact=asked.allow_inexact)
    return train_with_report(config, inputs, asked.out, allow_inexact=asked.allow_inexact)


VERB = TrainingVerb(
    "reward",
    RewardArguments,
    sections=("text", "run", "reward"),
    inputs=Inputs(snapshots={"rankings": Data("rankings"), "demonstrations": Data("demonstrations", splits=("train",))}, models=("model",)),
    train=_train,
)
