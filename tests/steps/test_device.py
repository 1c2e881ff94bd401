"""The precision of a run is one that its machine has."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from instructloop.model.checkpoint import load_manifest
from instructloop.steps import device
from instructloop.steps.device import multiplies_bf16, native_precision, on_this_machine
from instructloop.steps.ppo_run import train_ppo
from instructloop.steps.step0_pretrain import PretrainInputs, pretrain
from instructloop.steps.step1_sft import train_sft
from instructloop.steps.step2_reward import train_reward
from step_world import TinyWorld, tiny_config


def without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "multiplies_bf16", lambda: False)


def test_a_bf16_that_would_be_emulated_becomes_float32_and_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    without_bf16(monkeypatch)
    assert [native_precision(asked) for asked in ("bf16", "fp32", "fp64")] == ["fp32", "fp32", "fp64"]
    assert "only emulated" in capsys.readouterr().out
    config = tiny_config("bf16")
    assert on_this_machine(config) == replace(config, run=replace(config.run, precision="fp32"))


def test_a_machine_that_has_bf16_keeps_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(device, "multiplies_bf16", lambda: True)
    assert native_precision("bf16") == "bf16"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("avx512", "amx", "cpuinfo", "has"),
    [
        (True, False, "", True),
        (False, True, "", True),
        (False, False, "flags\t: avx2 fma\n", False),
        (False, False, "processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n", True),
        (False, False, "processor\t: 0\nFeatures\t: fp asimd\n", False),
    ],
)
def test_what_counts_as_having_it(avx512: bool, amx: bool, cpuinfo: str, has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(device, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(device, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert multiplies_bf16.__wrapped__() is has


def test_the_manifest_records_the_precision_that_was_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_bf16(monkeypatch)
    world = TinyWorld.make(tmp_path)
    train_sft(tiny_config("bf16"), world.sft_inputs, tmp_path / "sft")
    assert load_manifest(tmp_path / "sft").config["run"]["precision"] == "fp32"


@pytest.mark.parametrize("precision", ["bf16", "fp32", "fp64"])
def test_every_step_runs_in_every_precision(precision: str, tmp_path: Path) -> None:
    """The laws that stop runs are as strict as the precision."""
    world, config = TinyWorld.make(tmp_path), tiny_config(precision)
    pretrain(config, PretrainInputs(documents=world.snapshot("documents")), tmp_path / "runs" / "base")
    train_sft(config, world.sft_inputs, tmp_path / "runs" / "sft")
    train_reward(config, world.reward_inputs, tmp_path / "runs" / "reward")
    train_ppo(config, world.ppo_inputs, tmp_path / "runs" / "ppo")
    assert all((tmp_path / "runs" / step / "finished.json").exists() for step in ("base", "sft", "reward", "ppo"))
