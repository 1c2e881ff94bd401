"""A run shows one progress bar, its own: loading and saving say nothing, and leave transformers' settings as they were."""

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.utils import logging

from instructloop.errors import CheckpointError
from instructloop.model.checkpoint import save_checkpoint_dir
from instructloop.model.policy import load_policy
from instructloop.model.scalar import load_scalar
from toy_runs import TEXT, manifest, toy_tokenizer, write_policy


def test_no_bar_is_drawn_for_our_models_and_those_of_others_stay(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logging.enable_progress_bar()
    tokenizer = toy_tokenizer()
    folder = write_policy(tmp_path / "model", tokenizer)
    policy = load_policy(folder, precision="fp32", tokenizer=tokenizer, context=TEXT.context)
    save_checkpoint_dir(tmp_path / "again", policy, tokenizer, manifest=manifest("sft", TEXT), card="a toy")
    assert capfd.readouterr().err == ""
    AutoModelForCausalLM.from_pretrained(folder)
    assert "Loading weights" in capfd.readouterr().err


def test_weights_that_are_missing_are_one_error_and_no_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_policy(tmp_path / "model", toy_tokenizer())
    with pytest.raises(CheckpointError, match=r"lacks the weights score\.weight"):
        load_scalar(folder, precision="fp32", tokenizer=toy_tokenizer(), context=TEXT.context)
    assert not caplog.records
    AutoModelForSequenceClassification.from_pretrained(folder)
    assert "score.weight" in caplog.text
