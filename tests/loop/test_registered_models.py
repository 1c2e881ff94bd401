"""A site that offers what its store shows, at any time."""

from pathlib import Path

import pytest

from instructloop.errors import CheckpointError
from instructloop.loop.registered_models import RegisteredModels
from instructloop.loop.served_models import Serving
from instructloop.protocols import CompletionRequest, Sampling
from instructloop.store.database.models import NewModel, choose_model, register_model, retire_model, show_model
from instructloop.store.database.opening import Store, open_store
from scripted_server import ScriptedServer, words_of

REQUEST = CompletionRequest(prompt="the king", sampling=Sampling(max_new_tokens=3), seed=3)


@pytest.fixture
def store(tmp_path: Path):
    opened = open_store(tmp_path / "feedback.db")
    yield opened
    opened.close()


def register(store: Store, name: str, place: str) -> None:
    register_model(store, None, NewModel(name=name, place=place))


def test_what_is_registered_chosen_and_hidden_meanwhile_is_known_at_once(store: Store) -> None:
    with ScriptedServer() as server:
        register(store, "first", f"{server.url}#x")
        models = RegisteredModels(store, Serving())
        assert list(models) == ["first"]
        register(store, "a name/with a stroke", f"{server.url}#x")
        said = "".join(chunk.text for chunk in models["a name/with a stroke"].complete(REQUEST))
        assert said == "".join(words_of(server.requests[-1])), "asked by name before anybody has listed it"
        register(store, "third", server.url)
        choose_model(store, None, "first")
        assert list(models) == ["first", "third", "a name/with a stroke"]
        show_model(store, None, "third", visible=False)
        retire_model(store, None, "first")
        assert list(models) == ["a name/with a stroke"]
        assert "third" not in models
        models.close()


def test_a_model_that_cannot_be_had_keeps_no_other_away(store: Store, tmp_path: Path) -> None:
    models = RegisteredModels(store, Serving())
    assert list(models) == []
    with ScriptedServer() as server:
        register(store, "there", f"{server.url}#x")
        register(store, "gone", str(tmp_path / "nowhere"))
        register(store, "away", "http://127.0.0.1:9")
        assert list(models) == ["there"]
        assert "away" not in models
    models.close()


def test_at_the_start_a_broken_model_is_an_error_and_one_that_is_gone_is_left_out(store: Store, tmp_path: Path) -> None:
    register(store, "gone", str(tmp_path / "nowhere"))
    assert [model.name for model in RegisteredModels(store, Serving()).gone] == ["gone"]
    register(store, "broken", str(tmp_path))
    with pytest.raises(CheckpointError):
        RegisteredModels(store, Serving())
