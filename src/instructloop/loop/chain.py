"""The three steps one after another, each resumed where it stopped and skipped where it is finished."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from instructloop.config import Config
from instructloop.errors import RunFinished
from instructloop.steps.ppo_run import PPOInputs, train_ppo
from instructloop.steps.step0_pretrain import PretrainInputs, pretrain
from instructloop.steps.step1_sft import SFTInputs, train_sft
from instructloop.steps.step2_reward import RewardInputs, train_reward


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Where the snapshots lie and where the runs go. Each method makes one run and returns its model's folder."""

    config: Config
    data: Path
    """Folder of the snapshots `documents`, `demonstrations`, `rankings` and `prompts`."""
    runs: Path

    def base(self) -> Path:
        """Step 0."""
        return _model_of(self.runs / "base", lambda out: pretrain(self.config, PretrainInputs(documents=self.data / "documents"), out))

    def sft(self, base: Path) -> Path:
        """Step 1: the model people compare against."""
        inputs = SFTInputs(model=str(base), demonstrations=self.data / "demonstrations")
        return _model_of(self.runs / "sft", lambda out: train_sft(self.config, inputs, out))

    def start_of_ppo(self, base: Path) -> Path:
        """Step 1 again, with pretraining text mixed in: the start and the reference of step 3."""
        inputs = SFTInputs(model=str(base), demonstrations=self.data / "demonstrations", pretraining=self.data / "documents")
        return _model_of(self.runs / "sft_ptx_init", lambda out: train_sft(self.config, inputs, out, stage="sft_ptx_init"))

    def reward(self, sft: Path, *, rankings: str = "rankings", name: str = "reward") -> Path:
        """Step 2."""
        inputs = RewardInputs(model=str(sft), rankings=self.data / rankings, demonstrations=self.data / "demonstrations")
        return _model_of(self.runs / name, lambda out: train_reward(self.config, inputs, out))

    def ppo(self, start: Path, reward: Path, *, ptx: bool, heldout_reward: Path | None = None) -> Path:
        """Step 3, with or without the pretraining term; the loss on pretraining text is watched in both."""
        config = self.config if ptx else replace(self.config, ppo=replace(self.config.ppo, ptx_coef=0.0))
        inputs = PPOInputs(
            policy=str(start), reward=str(reward), prompts=self.data / "prompts", pretraining=self.data / "documents",
            heldout_reward=str(heldout_reward) if heldout_reward else None,
        )  # fmt: skip
        return _model_of(self.runs / ("ppo_ptx" if ptx else "ppo"), lambda out: train_ppo(config, inputs, out))


def _model_of(folder: Path, train: Callable[[Path], Path]) -> Path:
    try:
        return train(folder)
    except RunFinished:
        return folder / "model"
