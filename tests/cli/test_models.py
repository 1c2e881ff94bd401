"""`instructloop models`, and what the site offers without being told."""

import shutil
from pathlib import Path

import pytest

from instructloop.cli.main import main
from instructloop.loop.registered_models import offered_models
from instructloop.store.database.models import read_model
from instructloop.store.database.opening import open_store
from toy_runs import toy_tokenizer, write_policy


def models(store: Path, *words: object) -> int:
    return main(["models", str(words[0]), "--store", str(store), *map(str, words[1:])])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store that knows two models of this machine and one of another."""
    for seed, name in enumerate(("sft", "ppo")):
        assert models(tmp_path / "feedback.db", "add", write_policy(tmp_path / name, toy_tokenizer(), seed=seed)) == 0
    assert models(tmp_path / "feedback.db", "add", "http://127.0.0.1:1/v1#theirs", "--name", "theirs", "--hidden") == 0
    return tmp_path / "feedback.db"


def offered(place: Path) -> tuple[list[str], list[str]]:
    store = open_store(place)
    there, gone = offered_models(store)
    store.close()
    return [model.name for model in there], [model.name for model in gone]


def test_the_chosen_one_is_offered_first_and_what_is_hidden_or_gone_is_not(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offered(place) == (["ppo", "sft"], [])
    assert models(place, "choose", "sft") == models(place, "show", "theirs") == 0
    assert offered(place) == (["sft", "theirs", "ppo"], [])
    assert models(place, "hide", "theirs") == 0
    shutil.rmtree(place.parent / "ppo")
    assert offered(place) == (["sft"], ["ppo"])
    assert models(place, "retire", "ppo") == 0
    assert offered(place) == (["sft"], [])
    capsys.readouterr()
    assert models(place, "list") == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [["sft", "chosen"], ["theirs", "hidden"]]


def test_the_same_model_is_registered_once_and_another_needs_another_name(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models(place, "add", place.parent / "sft") == 0
    assert models(place, "add", place.parent / "ppo", "--name", "sft") == 2
    assert "the name 'sft' stands for" in capsys.readouterr().err
    assert models(place, "retire", "sft") == 0
    assert models(place, "add", place.parent / "sft") == 2
    assert "which is retired" in capsys.readouterr().err
    (place.parent / "empty").mkdir()
    assert models(place, "add", place.parent / "empty") == 2
    assert "holds no model" in capsys.readouterr().err


def test_a_model_is_known_by_its_weights(place: Path) -> None:
    store = open_store(place)
    identities = {read_model(store, name).identity for name in ("sft", "ppo")}
    store.close()
    assert len(identities) == 2
    assert all(identity is not None and len(identity) == 64 for identity in identities)


def test_an_act_that_there_is_not_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models(place, "ad") == 2
    assert "did you mean 'add'?" in capsys.readouterr().err
    assert models(place, "choose", "nobody") == 2
    assert "there is no model 'nobody'" in capsys.readouterr().err
