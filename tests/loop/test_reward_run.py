"""The report of a reward model: written after training, and again where it is missing."""

import json
from pathlib import Path

import pytest

from instructloop.errors import MissingExtra, RunFinished
from instructloop.loop import reward_run
from instructloop.loop.reward_run import train_with_report
from instructloop.steps.step2_reward import RewardInputs
from toy_runs import freeze_demonstrations, freeze_records, ranking, toy_config, toy_tokenizer, write_policy

ANSWERS = ("red grass", "yes", "a blue hen")


@pytest.fixture
def inputs(tmp_path: Path) -> RewardInputs:
    train = [ranking(number, f"labeler-{number % 3}", ANSWERS[: 2 + number % 2]) for number in range(40)]
    valid = [ranking(number, f"labeler-{number % 2}", ANSWERS[: 2 + number % 2]) for number in range(40, 48)]
    return RewardInputs(
        model=str(write_policy(tmp_path / "sft", toy_tokenizer())),
        rankings=freeze_records(tmp_path / "rankings", {"train": train, "valid": valid}),
        demonstrations=freeze_demonstrations(tmp_path / "demonstrations"),
    )


def test_the_report_agrees_with_the_run_and_is_written_once(inputs: RewardInputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "reward"
    assert train_with_report(toy_config(), inputs, run) == run / "model"
    report, closing = (json.loads((run / name).read_text()) for name in ("report.json", "finished.json"))
    assert report["pairs"] == closing["valid_pairs"] == 4 * 1 + 4 * 3
    assert report["accuracy"]["mean"] == pytest.approx(closing["valid_accuracy"])
    assert report["log_loss"]["mean"] == pytest.approx(closing["valid_log_loss"], rel=1e-5)
    assert {name: part["pairs"] for name, part in report["accuracy_by_k"].items()} == {"2": 4, "3": 12}
    assert set(report["accuracy_by_labeler"]) == {"labeler-0", "labeler-1"}
    assert report["demonstrations"]["mean"] == pytest.approx(0, abs=1e-4)
    assert sum(report["demonstrations"]["counts"]) == 6
    assert {path.name for path in run.glob("*.svg")} == {"calibration.svg", "histogram.svg"}
    assert "K = 3" in capsys.readouterr().out

    with pytest.raises(RunFinished):
        train_with_report(toy_config(), inputs, run)
    before = (run / "report.json").read_bytes()
    (run / "report.json").unlink()
    train_with_report(toy_config(), inputs, run)
    assert (run / "report.json").read_bytes() == before


def test_without_matplotlib_there_is_the_report_alone(
    inputs: RewardInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: object) -> str:
        raise MissingExtra("matplotlib", "plots")

    monkeypatch.setattr(reward_run, "calibration_svg", missing)
    train_with_report(toy_config(), inputs, tmp_path / "reward")
    assert (tmp_path / "reward" / "report.json").exists()
    assert "without pictures" in capsys.readouterr().out
