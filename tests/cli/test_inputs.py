"""What a verb is to read is looked at first: one message (law E4) that names the path and the way out, nothing imported, nothing written."""

import dataclasses
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from instructloop.cli.inputs import RECORD_OF
from instructloop.cli.main import main
from instructloop.cli.parsing import TrainingVerb
from instructloop.loop.freezing import Kind
from instructloop.records import Document, Prompt, Record
from instructloop.store.snapshots import freeze

VERBS: list[TrainingVerb] = [importlib.import_module(f"instructloop.cli.{name}").VERB for name in ("pretrain", "sft", "reward", "ppo")]
PROMPTS = [Prompt(id="p", text="why?", user_id="u")]
TEXTS = [Document(id="d", text="because")]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a model, a run, snapshots and a file of data."""
    monkeypatch.chdir(tmp_path)
    for folder in ("model", "runs/sft/model", "empty"):
        Path(folder).mkdir(parents=True)
    for model in ("model", "runs/sft/model"):
        Path(model, "config.json").write_text("{}")
    for name in ("GPTNeoXForCausalLM", "GPTNeoXForSequenceClassification"):
        Path(name).mkdir()
        Path(name, "config.json").write_text(json.dumps({"architectures": [name]}))
    Path("prompts.jsonl").write_text('{"prompt": "why?"}\n')
    _freeze("prompts", PROMPTS, PROMPTS)
    _freeze("texts", TEXTS, TEXTS)
    _freeze("unsplit", PROMPTS)
    return tmp_path


@pytest.mark.parametrize(
    ("prompts", "came", "remedy"),
    [
        ("nowhere", "there is no nowhere", "instructloop snapshot FILES --kind prompts --out nowhere"),
        ("prompts.jsonl", "prompts.jsonl is a file", "instructloop snapshot prompts.jsonl --kind prompts --out snapshots/prompts"),
        ("empty", "empty holds no snapshot.json", "instructloop snapshot FILES --kind prompts --out NEW_FOLDER"),
        ("texts", "texts holds Document records", "give the snapshot of that kind"),
        ("unsplit", "unsplit has no split 'valid', only train", "freeze the data anew: instructloop snapshot FILES --kind prompts --out NEW_FOLDER"),
    ],
)
def test_data_that_cannot_be_read(here: Path, prompts: str, came: str, remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_ppo("model", prompts)) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"instructloop: {came}\n  expected: a snapshot of prompts, split into train and valid\n")
    assert remedy in message
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("policy", "came", "remedy"),
    [
        ("runs/sft", "runs/sft is a run folder", "its model is in runs/sft/model"),
        ("runs/ppo", "there is no folder runs/ppo", "correct the path"),
        ("./nowhere", "there is no folder ./nowhere", "correct the path"),
        ("/no/where/at/all", "there is no folder /no/where/at/all", "correct the path"),
        ("empty", "empty holds no config.json", "the checkpoint itself"),
    ],
)
def test_models_that_are_not_there(here: Path, policy: str, came: str, remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_ppo(policy, "prompts")) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"instructloop: {came}\n")
    assert remedy in message


def test_a_policy_and_a_reward_model_that_changed_places(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy, reward = "GPTNeoXForCausalLM", "GPTNeoXForSequenceClassification"
    assert main(_ppo(reward, "prompts")) == 2
    assert capsys.readouterr().err.startswith(f"instructloop: {reward} is a reward model ({reward})\n  expected: a language model\n")
    assert main([*_ppo(policy, "prompts"), "--reward", policy]) == 2
    assert capsys.readouterr().err.startswith(f"instructloop: {policy} is a language model ({policy})\n  expected: a reward model\n")


def test_a_run_without_epochs_is_no_sft(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", "runs/sft", "--reward", "model", "--prompts", "prompts"]) == 2
    assert capsys.readouterr().err.startswith("instructloop: runs/sft is no finished SFT run\n")


@pytest.mark.parametrize("name", ["gpt2", "EleutherAI/pythia-70m", "model"])
def test_hub_ids_and_folders_pass(here: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    called: list[object] = []
    monkeypatch.setattr("instructloop.steps.ppo_run.train_ppo", lambda *given, **flags: called.append((given, flags)) or Path("out/model"))
    flags = ["--pretraining", "texts", "--heldout-reward", name, "--ppo.kl.coef", "0.3", "--allow-inexact"]
    assert main([*_ppo(name, "prompts"), *flags]) == 0
    (config, inputs, out), keywords = called[0]
    assert (config.ppo.kl.coef, out, keywords) == (0.3, Path("out"), {"allow_inexact": True})
    assert dataclasses.asdict(inputs) == {
        "policy": name, "reward": "model", "prompts": Path("prompts"), "pretraining": Path("texts"), "heldout_reward": name,
    }  # fmt: skip
    assert capsys.readouterr().out == "out/model\n"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_input_of_a_verb_is_looked_at(verb: TrainingVerb) -> None:
    fields = {field.name for field in dataclasses.fields(verb.arguments)}
    looked_at = {*verb.inputs.snapshots, *verb.inputs.models, *verb.inputs.rewards}
    assert looked_at <= fields
    assert fields - looked_at <= {"out", "allow_inexact", "stage", "folds", "tokenizer"}


def test_every_kind_of_data_has_its_record() -> None:
    assert set(RECORD_OF) == set(get_args(Kind))


def _ppo(policy: str, prompts: str) -> list[str]:
    return ["ppo", "tiny", "--policy", policy, "--reward", "model", "--prompts", prompts, "--out", "out"]


def _freeze(folder: str, train: Sequence[Record], valid: Sequence[Record] = ()) -> None:
    freeze(folder, {"train": train, **({"valid": valid} if valid else {})}, query="a test")
