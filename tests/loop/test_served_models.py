"""Models by name: what they are called, when they are loaded, who makes room, and how a checkpoint reads prompts."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from bare_python import run_without
from instructloop.config import ModelShape, Text
from instructloop.errors import Busy, CheckpointError, ConfigError
from instructloop.loop.local_model import load_completer
from instructloop.loop.served_models import Loader, ServedModels, Serving, open_models
from instructloop.model.checkpoint import MANIFEST, save_checkpoint_dir
from instructloop.model.policy import new_policy
from instructloop.protocols import CompletionChunk, CompletionRequest, Sampling
from instructloop.records import RunManifest, Turn
from instructloop.text.rendering import render_conversation, render_prompt
from instructloop.text.tokenizer import Tokenizer, load_tokenizer, train_tokenizer
from instructloop.web.remote import RemoteCompleter
from scripted_server import ScriptedServer, words_of

REQUEST = CompletionRequest(prompt="the king", sampling=Sampling(max_new_tokens=8), seed=3)
CHAT_TEMPLATE = "{% for m in messages %}<|pad|>{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "


class Fake:
    """A loaded model that says its name; `num_unfinished` is what a test makes it."""

    def __init__(self, name: str) -> None:
        self.name, self.num_unfinished, self.closed = name, 0, False

    def complete(self, request: CompletionRequest) -> Iterator[CompletionChunk]:
        assert not self.closed
        return iter([CompletionChunk(text=self.name, finish_reason="stop")])

    def close(self) -> None:
        self.closed = True


class FakeLoader(Loader):
    """Loads what a test gives it."""

    def __init__(self, source: str, load: Callable[[str], Fake]) -> None:
        super().__init__(source, Serving())
        object.__setattr__(self, "load", load)

    def __call__(self) -> Fake:
        return self.load(self.source)


class Shelf:
    """Three fakes behind `ServedModels`, and what was loaded in which order."""

    def __init__(self, *, loaded: int) -> None:
        self.loads: list[str] = []
        self.fakes: dict[str, Fake] = {}
        self.models = ServedModels({name: FakeLoader(name, self.load) for name in "abc"}, loaded=loaded)

    def load(self, name: str) -> Fake:
        self.loads.append(name)
        self.fakes[name] = Fake(name)
        assert sum(not fake.closed for fake in self.fakes.values()) <= self.models._places
        return self.fakes[name]

    def ask(self, name: str) -> str:
        return "".join(chunk.text for chunk in self.models[name].complete(REQUEST))


def test_models_are_loaded_when_asked_and_the_one_asked_least_recently_makes_room() -> None:
    shelf = Shelf(loaded=2)
    assert list(shelf.models) == ["a", "b", "c"]
    assert shelf.loads == []
    assert [shelf.ask(name) for name in "abac"] == list("abac")
    assert shelf.loads == ["a", "b", "c"]
    assert shelf.models.in_memory == ["a", "c"]
    assert shelf.fakes["b"].closed
    shelf.models.close()
    assert shelf.models.in_memory == []
    assert all(fake.closed for fake in shelf.fakes.values())


def test_a_model_that_is_answering_makes_no_room() -> None:
    shelf = Shelf(loaded=2)
    shelf.ask("a"), shelf.ask("b")
    shelf.fakes["a"].num_unfinished = 1
    assert shelf.ask("c") == "c"
    assert shelf.models.in_memory == ["a", "c"]
    shelf.fakes["c"].num_unfinished = 1
    with pytest.raises(Busy, match="a, c must finish") as busy:
        shelf.ask("b")
    assert busy.value.retry_after > 0
    assert shelf.ask("a") == "a"


def test_a_model_that_cannot_be_loaded_can_be_asked_again() -> None:
    attempts = []

    def load(name: str) -> Fake:
        attempts.append(1)
        if len(attempts) == 1:
            raise CheckpointError("broken", expected="weights", remedy="copy it again")
        return Fake(name)

    models = ServedModels({"a": FakeLoader("a", load)}, loaded=1)
    with pytest.raises(CheckpointError, match="broken"):
        models["a"].complete(REQUEST)
    assert next(models["a"].complete(REQUEST)).text == "a"


def test_many_threads_load_a_model_once_and_never_too_many() -> None:
    shelf = Shelf(loaded=1)
    gate = threading.Barrier(8)

    def ask(place: int) -> str:
        gate.wait()
        return shelf.ask("a")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"a"}
        assert shelf.loads == ["a"]
        assert list(pool.map(shelf.ask, "abc" * 20)) == list("abc" * 20)


def tokenizer_of(template: str | None) -> Tokenizer:
    tokenizer = train_tokenizer(["the king said to the queen that the rain fell"] * 20, vocab=280)
    tokenizer.hf.chat_template = template
    return tokenizer


def save_model(folder: Path, *, template: str | None = None, text: Text | None = None) -> Path:
    """A checkpoint of ours where `text` is given, else as another library saves it."""
    tokenizer = tokenizer_of(template)
    policy = new_policy(ModelShape(layers=1, width=32, heads=2, vocab=280, context=96), tokenizer, seed=0)
    manifest = RunManifest(run_id="r", step="sft", config={"text": asdict(text)} if text else {}, code_version="1", command="", seed=0)
    save_checkpoint_dir(folder, policy, tokenizer, manifest=manifest, card="")
    if text is None:
        (folder / MANIFEST).unlink()
    return folder


@pytest.mark.parametrize(
    ("template", "trained", "expected"),
    [
        (None, Text(separator="\n---\n", context=96, max_prompt=48, max_response=48), "separator"),
        (CHAT_TEMPLATE, Text(separator="\n", context=96, max_prompt=48, max_response=48), "separator"),
        (CHAT_TEMPLATE, None, "chat"),
        (None, None, "raw"),
    ],
    ids=["ours", "ours, from a chat model", "a chat model", "a base model"],
)
def test_a_checkpoint_reads_prompts_as_it_was_trained_to(tmp_path: Path, template: str | None, trained: Text | None, expected: str) -> None:
    folder = save_model(tmp_path / "model", template=template, text=trained)
    tokenizer = load_tokenizer(folder)
    text = {"separator": trained or Text(), "chat": Text(template="chat"), "raw": Text(separator="")}[expected]
    with load_completer(str(folder), slots=2, waiting=4, precision="fp32") as completer:
        *_, prompted = completer.complete(REQUEST)
        *_, talked = completer.complete(CompletionRequest(messages=(Turn("user", "the king"),), sampling=REQUEST.sampling))
    assert prompted.prompt_tokens == len(render_prompt(tokenizer, "the king", text))
    assert talked.prompt_tokens == len(render_conversation(tokenizer, [Turn("user", "the king")], text)) == prompted.prompt_tokens


def test_sources_are_named_by_folder_by_server_or_by_hand(tmp_path: Path) -> None:
    first, second = save_model(tmp_path / "first"), save_model(tmp_path / "a=b" / "second")
    with ScriptedServer() as server:
        models = open_models(
            [str(first), str(second), f"third={first}", server.url, f"fourth={server.url}", f"{server.url}#x", f"y={server.url}#x"], Serving()
        )
        assert list(models) == ["first", "second", "third", "scripted", "fourth", "x", "y"]
        assert models["y"] == RemoteCompleter(url=server.url, model="x")
        assert "".join(chunk.text for chunk in models["scripted"].complete(REQUEST)) == "".join(words_of(server.requests[-1]))
        assert "".join(chunk.text for chunk in models["second"].complete(REQUEST))
        assert models.in_memory == ["second"]
        models.close()
        with pytest.raises(ConfigError, match="two models are called 'first'"):
            open_models([str(first), f"first={second}"], Serving())
        with pytest.raises(ConfigError, match="two models are called 'scripted'"):
            open_models([server.url, f"scripted={second}"], Serving())
    for source in ("=x", "x="):
        with pytest.raises(ConfigError, match="name=source"):
            open_models([source], Serving())
    with pytest.raises(ConfigError, match="0 models may be loaded"):
        Serving(loaded=0)


def test_what_is_no_model_is_refused_before_anybody_asks(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no folder"):
        open_models([str(tmp_path / "absent")], Serving())
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        open_models([str(tmp_path)], Serving())


def test_models_elsewhere_need_no_torch_and_models_here_do(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    with ScriptedServer() as server:
        code = f"""
from instructloop.loop.served_models import Serving, open_models
from instructloop.protocols import CompletionRequest, Sampling
models = open_models(["{server.url}"], Serving())
print([chunk.text for chunk in models["scripted"].complete(CompletionRequest(prompt="the king", sampling=Sampling(max_new_tokens=3)))])
try:
    open_models(["{tmp_path / "model"}"], Serving())
except ModuleNotFoundError as error:
    print(error.name)
"""
        finished = run_without(("torch", "transformers", "tokenizers", "numpy"), code)
        assert finished.returncode == 0, finished.stderr
        said, refused = finished.stdout.split("\n", 1)
        assert said == str([*words_of(server.requests[-1]), ""])
        assert refused == "torch\n"
