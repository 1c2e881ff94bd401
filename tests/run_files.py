"""Runs of every step in the tiny world, and what is compared of two finished run folders."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from instructloop.config import Config, RewardKL, TrustRegion
from instructloop.steps.ppo_run import train_ppo
from instructloop.steps.running import TIME_PREFIX
from instructloop.steps.step0_pretrain import PretrainInputs, pretrain
from instructloop.steps.step1_sft import train_sft
from instructloop.steps.step2_reward import train_reward
from step_world import TinyWorld, tiny_config

CHANGING = {
    "kl": RewardKL(control="adaptive", target=0.5, horizon=40),
    "trust_region": TrustRegion(kind="penalty", target=1e-4),
    "ema": 0.9,
    "inner_epochs": 2,
}
"""Settings of step 3 under which everything that can be carried from iteration to iteration is."""


def run_pretrain(world: TinyWorld, out: Path, **named: Any) -> Path:
    return pretrain(tiny_config(), PretrainInputs(documents=world.snapshot("documents")), out, **named)


def run_sft(world: TinyWorld, out: Path, config: Config | None = None, **named: Any) -> Path:
    return train_sft(config or tiny_config(), world.sft_inputs, out, **named)


def run_mixed_sft(world: TinyWorld, out: Path, **named: Any) -> Path:
    return train_sft(tiny_config(), world.mixed_sft_inputs, out, stage="sft_ptx_init", **named)


def run_reward(world: TinyWorld, out: Path, **named: Any) -> Path:
    return train_reward(tiny_config(), world.reward_inputs, out, **named)


def run_ppo(world: TinyWorld, out: Path, *, iterations: int = 4, save_every: int = 2, **named: Any) -> Path:
    config = tiny_config(iterations=iterations, **CHANGING)
    return train_ppo(replace(config, run=replace(config.run, save_every=save_every)), world.ppo_inputs, out, **named)


RUNS: Mapping[str, Callable[..., Path]] = {
    "pretrain": run_pretrain,
    "sft": run_sft,
    "sft_ptx_init": run_mixed_sft,
    "reward": run_reward,
    "ppo": run_ppo,
}


def finished_files(run: Path) -> dict[str, Any]:
    """Every file of a run, by its path: bytes, but for wall-clock figures and the moment in manifests."""
    files = {str(path.relative_to(run)): path for path in sorted(run.rglob("*")) if path.is_file()}
    return {name: _content(path) for name, path in files.items()}


def _content(path: Path) -> Any:
    if path.name in ("metrics.jsonl", "finished.json"):
        rows = path.read_text().splitlines() if path.name == "metrics.jsonl" else [path.read_text()]
        return [{key: value for key, value in json.loads(row).items() if not key.startswith(TIME_PREFIX)} for row in rows]
    if path.name == "manifest.json":
        return {key: value for key, value in json.loads(path.read_text()).items() if key != "provenance"}
    return path.read_bytes()


def assert_same_run(resumed: Path, straight: Path) -> None:
    """The same files with the same content."""
    ours, theirs = finished_files(resumed), finished_files(straight)
    assert ours.keys() == theirs.keys()
    assert [name for name in theirs if ours[name] != theirs[name]] == []
    assert "model/model.safetensors" in ours


def everything_on_disk(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its time and bytes: what must not move when a run is refused."""
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()}
