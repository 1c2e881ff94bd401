"""`instructloop ppo RECIPE`: step 3."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instructloop.cli.inputs import Data, Inputs
from instructloop.cli.parsing import RunFolder, TrainingVerb
from instructloop.config import Config


@dataclass(frozen=True, kw_only=True)
class PPOArguments(RunFolder):
    """Step 3: PPO against the reward model; with `--ppo.ptx-coef` above 0, PPO-ptx."""

    policy: str
    """Directory or hub id of the SFT model to start from, also the KL penalty's reference; the paper makes it with `sft --stage sft_ptx_init`."""
    reward: str
    """Directory or hub id of the reward model: also the start of the value network. Any size, with the policy's tokenizer."""
    prompts: Path
    """Snapshot of prompts, with the splits `train` and `valid`."""
    pretraining: Path | None = None
    """Snapshot of texts, with the splits `train` and `valid`; needed for PPO-ptx."""
    heldout_reward: str | None = None
    """A second reward model that training never sees; answers to validation prompts are scored by both."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    VERB.run(argv)


def _train(asked: PPOArguments, config: Config) -> Path:
    from instructloop.steps.ppo_run import PPOInputs, train_ppo

    inputs = PPOInputs(
        policy=asked.policy, reward=asked.reward, prompts=asked.prompts, pretraining=asked.pretraining, heldout_reward=asked.heldout_reward
    )
    return train_ppo(config, inputs, asked.out, allow_inexact=asked.allow_inexact)


VERB = TrainingVerb(
    "ppo",
    PPOArguments,
    sections=("text", "run", "ppo"),
    inputs=Inputs(snapshots={"prompts": Data("prompts"), "pretraining": Data("documents")}, models=("policy",), rewards=("reward", "heldout_reward")),
    train=_train,
)
