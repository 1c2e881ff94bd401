"""The models a site offers: named, loaded when they are first asked, as many at once as memory has room for.

    models = open_models(["sft=runs/sft/model", "EleutherAI/pythia-70m", "big=https://host/v1#their-model"], Serving())

The site gets them as `Completer`s by name and imports neither this nor the engine. Nothing here reaches torch before a model of
this machine is asked.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from instructloop.config import Precision
from instructloop.errors import Busy, ConfigError
from instructloop.protocols import Completer, CompletionChunk, CompletionRequest
from instructloop.web.remote import RemoteCompleter, models_of

RETRY_AFTER = 5.0
"""Seconds that a request for a model waits while all places are taken by models that are answering."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How models of this machine are served."""

    loaded: int = 1
    """Models in memory at one time; when another is asked, the one asked least recently makes room."""
    slots: int = 8
    """Answers that one model makes together; a step costs about the same whether few or all are taken."""
    waiting: int = 64
    """Requests that may wait for a slot; more are told to come back."""
    precision: Precision = "bf16"
    """bf16 where the machine multiplies it, else float32."""

    def __post_init__(self) -> None:
        if self.loaded < 1:
            raise ConfigError(f"{self.loaded} models may be loaded", expected="at least 1", remedy="raise it")


class Loaded(Completer, Protocol):
    """A completer that holds memory."""

    @property
    def num_unfinished(self) -> int:
        """Requests being answered or waiting."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


def open_models(sources: Sequence[str], serving: Serving, *, api_key: str | None = None) -> "ServedModels":
    """The models of `sources`, each a directory, a hub id, or the URL of an OpenAI-compatible server up to its version.

    Any may be named: `name=source`. Otherwise a directory's model has the name of the folder, a hub model its id, and a URL's
    the name it has there; `URL#model` offers one model of a server, a URL alone all of them. `api_key` is for the servers.

    Raises `ConfigError` where two have one name, `CheckpointError` for what is no language model, `ModelUnavailable` for a
    server that does not tell its models, and `ModuleNotFoundError` for a model of this machine where torch is not installed.
    """
    models: dict[str, Completer | Loader] = {}
    for source in sources:
        name, where = _split(source)
        found = _remote(name, where, api_key) if "://" in where else {name: Loader(where, serving)}
        if twice := sorted(found.keys() & models.keys()):
            raise ConfigError(f"two models are called {twice[0]!r}", expected="one name, one model", remedy="name one: name=source")
        models |= found
    return _checked(models, serving)


def open_places(places: Mapping[str, str], serving: Serving, *, api_key: str | None = None) -> "ServedModels":
    """The models at these places, each under its name, whatever that is. Raises as `open_models`."""
    return _checked({name: place_of(name, place, serving, api_key) for name, place in places.items()}, serving)


def place_of(name: str, place: str, serving: Serving, api_key: str | None) -> "Completer | Loader":
    """What serves the one model at a place: directory, hub id or URL. Raises `ConfigError` for a server of several models."""
    return _remote(name, place, api_key)[name] if "://" in place else Loader(place, serving)


@dataclass(frozen=True)
class Loader:
    """How a model of this machine comes into memory."""

    source: str
    """Directory or hub id."""
    serving: Serving

    def __call__(self) -> Loaded:
        """Load it: seconds."""
        from instructloop.loop.local_model import load_completer

        return load_completer(self.source, slots=self.serving.slots, waiting=self.serving.waiting, precision=self.serving.precision)


class ServedModels(Mapping[str, Completer]):
    """Completers by name. Those of this machine are loaded by the thread that first asks one."""

    def __init__(self, models: Mapping[str, Completer | Loader], *, loaded: int) -> None:
        """Of the models that have to be loaded, at most `loaded` are in memory at once."""
        self._places = loaded
        self._loaders: dict[str, Loader] = {}
        self._completers: dict[str, Completer] = {}
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._pinned: Counter[str] = Counter()
        """How many threads are handing a model a request."""
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self.add(models)

    def add(self, models: "Mapping[str, Completer | Loader]") -> None:
        """Offer further models."""
        self._loaders |= {name: model for name, model in models.items() if isinstance(model, Loader)}
        self._completers |= {name: _Lazy(self, name) if isinstance(model, Loader) else model for name, model in models.items()}

    def __getitem__(self, name: str) -> Completer:
        return self._completers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._completers)

    def __len__(self) -> int:
        return len(self._completers)

    @property
    def in_memory(self) -> list[str]:
        """Names of the models that are loaded, the one asked least recently first."""
        with self._lock:
            return list(self._loaded)

    def close(self) -> None:
        """Give up every model of this machine; unfinished answers raise `ModelUnavailable`."""
        with self._loading, self._lock:
            while self._loaded:
                self._loaded.popitem()[1].close()

    def complete(self, name: str, request: CompletionRequest) -> Iterator[CompletionChunk]:
        """The answer of a model of this machine, which is loaded if it is not; raises `Busy` where no model can make room for it."""
        while True:
            with self._pin(name) as completer:
                if completer is not None:
                    return completer.complete(request)
            self._load(name)

    @contextmanager
    def _pin(self, name: str) -> Iterator[Loaded | None]:
        """The model if it is in memory, where it stays for the time being."""
        with self._lock:
            completer = self._loaded.get(name)
            if completer is not None:
                self._loaded.move_to_end(name)
                self._pinned[name] += 1
        try:
            yield completer
        finally:
            if completer is not None:
                with self._lock:
                    self._pinned[name] -= 1

    def _load(self, name: str) -> None:
        """One at a time: what loading takes on top would else be taken several times over."""
        with self._loading:
            if name in self.in_memory:
                return
            if (leaving := self._make_room(name)) is not None:
                leaving.close()
            completer = self._loaders[name]()
            with self._lock:
                self._loaded[name] = completer

    def _make_room(self, name: str) -> Loaded | None:
        with self._lock:
            if len(self._loaded) < self._places:
                return None
            idle = next((other for other, it in self._loaded.items() if not self._pinned[other] and not it.num_unfinished), None)
            if idle is None:
                raise Busy(f"{', '.join(self._loaded)} must finish answering before {name} can be loaded", retry_after=RETRY_AFTER)
            return self._loaded.pop(idle)


class _Lazy:
    """One model of this machine, loaded or not."""

    def __init__(self, models: ServedModels, name: str) -> None:
        self._models, self._name = models, name

    def complete(self, request: CompletionRequest) -> Iterator[CompletionChunk]:
        """As `ServedModels.complete`."""
        return self._models.complete(self._name, request)


def _checked(models: "Mapping[str, Completer | Loader]", serving: Serving) -> ServedModels:
    """What can be known before weights are read is refused when the site starts, not when somebody asks."""
    _require_checkpoints([model.source for model in models.values() if isinstance(model, Loader)])
    return ServedModels(models, loaded=serving.loaded)


def _split(source: str) -> tuple[str, str]:
    """Name and place of a source; a sign of equality within a path or an address is none that names."""
    name, given, where = source.partition("=")
    if given and not {"/", "#", "\\"} & set(name):
        if not name or not where:
            raise ConfigError(f"the model {source!r}", expected="name=source", remedy="give both, or the source alone")
        return name, where
    if "://" in source:
        return source.partition("#")[2], source
    return (Path(source).resolve().name if Path(source).exists() else source), source


def _remote(name: str, where: str, api_key: str | None) -> dict[str, RemoteCompleter]:
    url, _, model = where.partition("#")
    completer = RemoteCompleter(url=url, model=model, api_key=api_key)
    if model:
        return {name or model: completer}
    theirs = models_of(url, api_key=api_key)
    if name and len(theirs) != 1:
        raise ConfigError(
            f"{name!r} is one name and {url} has {len(theirs)} models",
            expected="one model",
            remedy=f"say which: {name}={url}#{(theirs or ['model'])[0]}",
        )
    return {name or model: replace(completer, model=model) for model in theirs}


def _require_checkpoints(places: Sequence[str]) -> None:
    for place in places:
        from instructloop.model.pretrained import open_config

        open_config(place, context=1)
