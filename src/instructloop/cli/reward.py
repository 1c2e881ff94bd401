"""`instructloop reward RECIPE`: step 2."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instructloop.cli.parsing import RunFolder, parse_recipe


@dataclass(frozen=True, kw_only=True)
class RewardArguments(RunFolder):
    """Step 2: a reward model from rankings of K answers."""

    model: str
    """Directory or hub id the trunk comes from: the SFT model, by default of the paper; another size than the policy is fine."""
    rankings: Path
    """Snapshot of rankings, with the splits `train` and `valid`."""
    demonstrations: Path
    """Snapshot of demonstrations; those of its split `train` score 0 on average in the end."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked, config = parse_recipe("reward", RewardArguments, argv, sections=("text", "run", "reward"))
    from instructloop.steps.step2_reward import RewardInputs, train_reward

    inputs = RewardInputs(model=asked.model, rankings=asked.rankings, demonstrations=asked.demonstrations)
    print(train_reward(config, inputs, asked.out, allow_inexact=asked.allow_inexact))
