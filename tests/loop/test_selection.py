"""The choice of an SFT epoch by reward score, on a run folder made by hand."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification

from instructloop.errors import CheckpointError, DataError
from instructloop.loop.selection import SelectionInputs, select_epoch
from instructloop.model.checkpoint import weights_hash
from instructloop.text.tokenizer import train_tokenizer
from toy_runs import WORDS, freeze_records, prompts, toy_tokenizer, write_policy, write_reward

LOSSES = [2.0, 1.0, 3.0]


@pytest.fixture
def inputs(tmp_path: Path) -> SelectionInputs:
    tokenizer = toy_tokenizer()
    run = tmp_path / "sft"
    for epoch, seed in enumerate((1, 2, 1), start=1):
        write_policy(run / "epochs" / f"epoch-{epoch:02d}", tokenizer, seed=seed)
    shutil.copy(run / "epochs" / "epoch-01" / "manifest.json", run)
    (run / "finished.json").write_text(json.dumps({"valid_losses": LOSSES}))
    return SelectionInputs(
        run=run,
        reward=str(write_reward(tmp_path / "reward", tokenizer)),
        prompts=freeze_records(tmp_path / "prompts", {"valid": prompts(20)}),
        max_prompts=12,
    )


def test_the_best_epoch_is_copied_and_equal_epochs_are_worth_the_same(inputs: SelectionInputs, capsys: pytest.CaptureFixture[str]) -> None:
    selected = select_epoch(inputs)
    found = json.loads((inputs.run / "select.json").read_text())
    first, second, third = found["epochs"]
    assert first | {"epoch": 3, "valid_loss": 3.0} == third
    assert [epoch["valid_loss"] for epoch in found["epochs"]] == LOSSES
    assert first["score"]["mean"] != second["score"]["mean"]
    assert first["score"]["n"] == found["num_prompts"] == 12
    assert found["best_epoch"] == (1 if first["score"]["mean"] > second["score"]["mean"] else 2)
    assert weights_hash(selected) == weights_hash(inputs.run / "epochs" / f"epoch-{found['best_epoch']:02d}")
    assert {path.name for path in selected.iterdir()} == {path.name for path in (inputs.run / "epochs" / "epoch-01").iterdir()}
    assert "mean score" in capsys.readouterr().out


def test_a_reward_model_that_likes_the_opposite_chooses_the_other_epoch(inputs: SelectionInputs) -> None:
    """Negating the head negates every score, so the order of two epochs turns round; a second choice replaces the first."""
    select_epoch(inputs)
    before = json.loads((inputs.run / "select.json").read_text())
    reward = AutoModelForSequenceClassification.from_pretrained(inputs.reward)
    reward.score.weight.data.neg_()
    reward.save_pretrained(inputs.reward)
    selected = select_epoch(inputs)
    after = json.loads((inputs.run / "select.json").read_text())
    assert [epoch["score"]["mean"] for epoch in after["epochs"]] == pytest.approx([-epoch["score"]["mean"] for epoch in before["epochs"]], abs=1e-6)
    assert {before["best_epoch"], after["best_epoch"]} == {1, 2}
    assert weights_hash(selected) == weights_hash(inputs.run / "epochs" / f"epoch-{after['best_epoch']:02d}")
    assert not list(inputs.run.glob(".selected*"))


def test_each_epoch_is_judged_by_an_engine_that_was_seen_to_obey_law_a2(inputs: SelectionInputs, capsys: pytest.CaptureFixture[str]) -> None:
    select_epoch(inputs)
    assert capsys.readouterr().out.count("law A2: |Δ log-probability| mean") == len(LOSSES)


def test_repeats_of_one_prompt_are_one_prompt_of_the_interval(inputs: SelectionInputs, tmp_path: Path) -> None:
    repeated = [replace(prompt, text=f"{prompt.text[:4]}?") for prompt in prompts(20)]
    select_epoch(replace(inputs, prompts=freeze_records(tmp_path / "repeated", {"valid": repeated})))
    found = json.loads((inputs.run / "select.json").read_text())
    assert (found["num_prompts"], found["epochs"][0]["score"]["n"]) == (12, 1)


def test_an_unfinished_run_is_refused(inputs: SelectionInputs) -> None:
    (inputs.run / "finished.json").unlink()
    with pytest.raises(CheckpointError, match="no finished SFT run"):
        select_epoch(inputs)


@pytest.mark.parametrize("name", ["finished.json", "manifest.json"])
@pytest.mark.parametrize("content", [b"", b'{"valid_losses": [1', b"[]", b"\xff\xfe"])
def test_damaged_files_of_the_run_are_named(name: str, content: bytes, inputs: SelectionInputs) -> None:
    (inputs.run / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"sft/{name} cannot be read: (?s:.*)restore it from a copy"):
        select_epoch(inputs)


@pytest.mark.parametrize("losses", ["none", [], ["1.0"], 3])
def test_closing_figures_without_losses_are_no_sft_run(losses: object, inputs: SelectionInputs) -> None:
    (inputs.run / "finished.json").write_text(json.dumps({"valid_losses": losses}))
    with pytest.raises(CheckpointError, match="no finished SFT run"):
        select_epoch(inputs)


def test_a_reward_model_with_another_tokenizer_is_refused(inputs: SelectionInputs, tmp_path: Path) -> None:
    other = write_reward(tmp_path / "other", train_tokenizer([WORDS[::-1]] * 4, vocab=300))
    with pytest.raises(CheckpointError, match="policy and reward model have different tokenizers"):
        select_epoch(SelectionInputs(run=inputs.run, reward=str(other), prompts=inputs.prompts))


def test_a_split_that_is_not_there_is_named(inputs: SelectionInputs) -> None:
    with pytest.raises(DataError, match="no split 'test'"):
        select_epoch(SelectionInputs(run=inputs.run, reward=inputs.reward, prompts=inputs.prompts, split="test"))
