"""The verbs sample, select, reward --folds and sweep, as they are typed."""

import json
from pathlib import Path

import pytest

from instructloop.cli.main import main
from instructloop.records import AnswerSet
from instructloop.store.jsonl import read_records
from toy_runs import freeze_demonstrations, freeze_records, prompts, ranking, toy_tokenizer, write_policy, write_reward


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy, a reward model, prompts, rankings of three labelers and demonstrations; commands run in it."""
    tokenizer = toy_tokenizer()
    write_policy(tmp_path / "sft", tokenizer)
    write_reward(tmp_path / "reward", tokenizer)
    freeze_records(tmp_path / "prompts", {"train": prompts(6), "valid": prompts(3)})
    rankings = [ranking(number, f"labeler-{number % 3}", ("red grass", "yes")) for number in range(18)]
    freeze_records(tmp_path / "rankings", {"train": rankings[:12], "valid": rankings[12:]})
    freeze_demonstrations(tmp_path / "demonstrations")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line: str, *more: str) -> int:
    return main([*line.split(), *more])


def test_sample(world: Path) -> None:
    line = "sample --model sft:0.5 --model ./sft:0.5 --prompts prompts --num-answers 2..3 --max-new-tokens 5 --precision fp32 --out a.jsonl.gz"
    assert run(line) == 0
    assert all(2 <= len(one.completions) <= 3 for one in read_records(world / "a.jsonl.gz", AnswerSet))
    assert run(line) == 0, "a finished file is said, not complained about"
    assert run(line, "--seed", "1") == 2


def test_sample_with_averaged_weights(world: Path) -> None:
    """Asked for by name or by path, the answers are the same."""
    tokenizer = toy_tokenizer()
    write_policy(world / "sft", tokenizer)
    write_policy(world / "sft" / "ema", tokenizer, seed=1)
    line = "sample --prompts prompts --num-answers 2 --max-new-tokens 5 --precision fp32"
    assert run(f"{line} --model sft --weights ema --out by_name.jsonl") == 0
    assert run(f"{line} --model sft/ema --out by_path.jsonl") == 0
    assert run(f"{line} --model sft --out raw.jsonl") == 0
    by_name, by_path, raw = ((world / f"{name}.jsonl").read_text() for name in ("by_name", "by_path", "raw"))
    assert by_name == by_path != raw


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("sample --model sft:0.5 --model sft:0.4 --prompts prompts --out a.jsonl", "0.5 + 0.4 = 0.9"),
        ("sample --prompts prompts --out a.jsonl", "no model is given"),
        ("sample --model sft --prompts prompts --out a.jsonl --num-answers 4..10", "4..10"),
        ("sample --model sft --prompts prompts --out a.jsonl --method beam --beam-width 3", "beam of width 3"),
        ("sample --model sftt --prompts prompts --out a.jsonl", "sftt"),
        ("sample --model sft --prompts prompts --split test --out a.jsonl", "no split 'test'"),
        ("sample --model sft --prompts prompts --out a.jsonl --max-new-tokens 48", "48 new tokens with"),
        ("sample --model sft --prompts prompts --out a.jsonl --max-new-tokens 8 --weights ema", "sft holds no averaged weights"),
        ("select sft --reward reward --prompts prompts", "no finished SFT run"),
        ("select sft --reward reward --prompts rankings", "Ranking records"),
        ("sweep tiny --step reward --out s", "nothing is swept"),
    ],
)
def test_mistakes_are_one_message_and_leave_nothing(world: Path, line: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--", "--model", "sft", "--rankings", "rankings", "--demonstrations", "demonstrations"] if line.startswith("sweep") else []
    before = sorted(world.rglob("*"))
    assert run(line, *more) == 2
    assert named in capsys.readouterr().err
    assert sorted(world.rglob("*")) == before


def test_reward_with_folds(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "reward tiny --model sft --rankings rankings --demonstrations demonstrations"
    assert run(line, "--out", "cv", "--folds", "4") == 2
    assert "the 3 labelers" in capsys.readouterr().err
    assert run(line, "--out", "cv", "--folds", "3") == 0
    assert len(json.loads((world / "cv" / "folds.json").read_text())["folds"]) == 3


def test_reward_without_folds_writes_the_report(world: Path) -> None:
    assert run("reward tiny --model sft --rankings rankings --demonstrations demonstrations --out r") == 0
    assert json.loads((world / "r" / "report.json").read_text())["pairs"] == 6


def test_sweep_of_the_reward_model(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = ["--", "--model", "sft", "--rankings", "rankings", "--demonstrations", "demonstrations"]
    line = "sweep tiny --step reward --over reward.optimizer.lr=1e-3,1e-2 --over run.seed=0 --out s"
    assert run(line, *inputs) == 0
    found = json.loads((world / "s" / "sweep.json").read_text())
    assert [entry["run"] for entry in found["runs"]] == ["reward.optimizer.lr=0.001+run.seed=0", "reward.optimizer.lr=0.01+run.seed=0"]
    manifest = json.loads((world / "s" / found["runs"][1]["run"] / "manifest.json").read_text())
    assert manifest["config"]["reward"]["optimizer"]["lr"] == 0.01
    assert run("sweep tiny --step reward --over reward.lr=1 --out s", *inputs) == 2
    assert "did you mean 'reward.optimizer.lr'?" in capsys.readouterr().err
