"""Law E4 in the steps and on the command line: a mistake is told in one message, before a model is loaded, and leaves no trace."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from instructloop.cli.main import main
from instructloop.errors import CheckpointError, ConfigError, DataError
from instructloop.model import policy as policy_module
from instructloop.model import scalar as scalar_module
from instructloop.model.checkpoint import save_checkpoint_dir
from instructloop.model.policy import load_policy
from instructloop.model.scalar import scalar_from_policy
from instructloop.records import Demonstration, Document, Prompt, Ranking, Record
from instructloop.steps.ppo_run import train_ppo
from instructloop.steps.step0_pretrain import PretrainInputs, pretrain
from instructloop.steps.step1_sft import train_sft
from instructloop.steps.step2_reward import train_reward
from instructloop.store.snapshots import freeze, read_split
from instructloop.text.tokenizer import load_tokenizer, train_tokenizer
from step_world import MANIFEST, TinyWorld, tiny_config


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return TinyWorld.make(tmp_path_factory.mktemp("world"))


@pytest.fixture
def no_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a model was loaded before the mistake was found")

    for module in (policy_module, scalar_module):
        monkeypatch.setattr(module, "load_weights", refuse)


def frozen(folder: Path, **splits: Sequence[Record]) -> Path:
    freeze(folder, splits, query="a test")
    return folder


def ppo_words(world: TinyWorld, out: Path, **changed: object) -> list[str]:
    asked = {
        "--policy": world.policy, "--reward": world.folder / "reward", "--prompts": world.snapshot("prompts"),
        "--pretraining": world.snapshot("documents"), "--out": out, **{f"--{name}": value for name, value in changed.items()},
    }  # fmt: skip
    return ["ppo", "tiny", *(str(word) for name, value in asked.items() if value is not None for word in (name, value))]


def assert_told(words: Sequence[str], capsys: pytest.CaptureFixture[str], said: str, out: Path) -> None:
    """One message with a remedy, exit code 2, and no trace on disk."""
    assert main(words) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "expected: " in told
    assert "remedy: " in told
    assert "Traceback" not in told
    assert not out.exists()


@pytest.mark.usefixtures("no_model_is_loaded")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pretraining": None}, "no pretraining text is given"),
        ({"prompts": "nowhere"}, "nowhere"),
        ({"policy": "no/such/model"}, "no/such/model"),
        ({"text.max-prompt": 5000}, "max_prompt 5000 + max_response 24 = 5024 tokens"),
        ({"text.max-prompt": 2}, "none of the prompts can be used: 0 kept; dropped: 84 long prompts"),
        ({"ppo.episodes": 9, "ppo.minibatches": 2}, "9 episodes in 2 minibatches"),
        ({"text.context": 256, "text.max-prompt": 200}, "the context is 256 tokens"),
        ({"ppo.temperature": 0}, "temperature is 0"),
    ],
)
def test_mistakes_in_step_3(changed: dict[str, Any], said: str, world: TinyWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_told(ppo_words(world, tmp_path / "ppo", **changed), capsys, said, tmp_path / "ppo")


@pytest.mark.usefixtures("no_model_is_loaded")
def test_short_text_for_the_pretraining_term(world: TinyWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = frozen(tmp_path / "short", train=[Document(id="a", text="the red fox.")], valid=[Document(id="b", text="the red fox.")])
    assert_told(ppo_words(world, tmp_path / "ppo", pretraining=short), capsys, "tokens long", tmp_path / "ppo")


def test_a_reward_model_with_another_tokenizer(world: TinyWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = load_policy(world.policy, precision="fp32", tokenizer=load_tokenizer(world.policy), context=64)
    stranger = train_tokenizer(["another language altogether"] * 4, vocab=270)
    save_checkpoint_dir(tmp_path / "reward", scalar_from_policy(policy, stranger, seed=0), stranger, manifest=MANIFEST, card="")
    words = ppo_words(world, tmp_path / "ppo", reward=tmp_path / "reward")
    assert_told(words, capsys, "policy and reward model have different tokenizers", tmp_path / "ppo")


@pytest.mark.usefixtures("no_model_is_loaded")
def test_rankings_without_a_pair(world: TinyWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only ties; and a snapshot of something else."""
    ties = [
        replace(ranking, groups=(tuple(c.id for c in ranking.completions),)) for ranking in read_split(world.snapshot("rankings"), "train", Ranking)
    ]
    snapshot = frozen(tmp_path / "ties", train=ties, valid=ties[:3])
    words = ["reward", "tiny", "--model", world.policy, "--demonstrations", str(world.snapshot("demonstrations")), "--out", str(tmp_path / "out")]
    assert_told([*words, "--rankings", str(snapshot)], capsys, "no ranking has an untied pair", tmp_path / "out")
    assert_told([*words, "--rankings", str(world.snapshot("prompts"))], capsys, "Prompt", tmp_path / "out")


@pytest.mark.usefixtures("no_model_is_loaded")
def test_mistakes_in_other_steps(world: TinyWorld, tmp_path: Path) -> None:
    """Everything is too long for these settings; in each case it is said before a model is loaded, and no folder is made."""
    config, out = tiny_config(), tmp_path / "out"
    narrow = replace(config, text=replace(config.text, max_response=2))
    with pytest.raises(DataError, match="none of the demonstrations can be used: 0 kept; dropped: 84 long answers"):
        train_sft(narrow, world.sft_inputs, out)
    demonstrations = list(read_split(world.snapshot("demonstrations"), "train", Demonstration))
    long = replace(demonstrations[0], text="the red fox sees " * 20)
    half = frozen(tmp_path / "half", train=demonstrations, valid=[long])
    with pytest.raises(DataError, match="none of the validation demonstrations can be used"):
        train_sft(config, replace(world.sft_inputs, demonstrations=half), out)
    with pytest.raises(DataError, match="none of the demonstrations can be used"):
        train_reward(config, replace(world.reward_inputs, demonstrations=frozen(tmp_path / "long", train=[long])), out)
    short = frozen(tmp_path / "texts", train=[Document(id="a", text="the red fox.")], valid=[Document(id="b", text="the owl.")])
    with pytest.raises(DataError, match="tokens long"):
        pretrain(config, PretrainInputs(documents=short), out)
    prompts = list(read_split(world.snapshot("prompts"), "train", Prompt))
    lone = frozen(tmp_path / "lone", train=prompts, valid=[replace(prompts[0], text="what does " * 40)])
    with pytest.raises(DataError, match="none of the validation prompts can be used"):
        train_ppo(config, replace(world.ppo_inputs, prompts=lone), out)
    assert not out.exists()


def test_a_scorer_that_answers_too_little(world: TinyWorld, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the scorer gave 1 scores for 4 answers"):
        train_ppo(tiny_config(), world.ppo_inputs, tmp_path / "ppo", scorer=lambda prompts, answers: [0.0])


def test_prompts_must_look_as_they_did_in_training(world: TinyWorld, tmp_path: Path) -> None:
    """Our checkpoints say how they were rendered; another separator would silently ask them something else."""
    config = tiny_config()
    other = replace(config, text=replace(config.text, separator=" ### "))
    train_sft(config, world.sft_inputs, tmp_path / "sft")
    policy = str(tmp_path / "sft" / "model")
    for train, inputs in (
        (train_sft, replace(world.sft_inputs, model=policy)),
        (train_reward, replace(world.reward_inputs, model=policy)),
        (train_ppo, replace(world.ppo_inputs, policy=policy)),
    ):
        with pytest.raises(ConfigError, match=r"text\.separator is ' ### ', and the .* was trained with '\\n'"):
            train(other, inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pretraining_text_that_is_not_mixed_in_is_refused(world: TinyWorld, tmp_path: Path) -> None:
    """It would stand in the manifest as data that the model has seen."""
    with pytest.raises(ConfigError, match="the stage sft mixes none in"):
        train_sft(tiny_config(), world.mixed_sft_inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_blocks_that_dropout_does_not_know_are_refused_before_anything_is_written(
    world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instructloop.model.dropout.MLP_NAMES", ("elsewhere",))
    with pytest.raises(CheckpointError, match="residual dropout does not know the blocks"):
        train_sft(tiny_config(), world.sft_inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()
