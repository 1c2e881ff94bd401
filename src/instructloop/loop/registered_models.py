"""The models that a store shows, as a running site offers them: what is registered, shown or hidden meanwhile needs no new start.

Whoever lists the models, as the pages do, looks into the store; whoever asks one by name does so only if the name is not known.
A name is looked up where nothing may take long, so servers that have to be asked for their models are opened by those who list.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from instructloop.errors import ModelUnavailable, UserError
from instructloop.loop.served_models import ServedModels, Serving, open_places, place_of
from instructloop.protocols import Completer
from instructloop.store.database.models import RegisteredModel, list_models
from instructloop.store.database.opening import Store

LOG = logging.getLogger(__name__)
AGAIN_SECONDS = 60.0
"""After which a server that was away is asked again."""


def offered_models(store: Store) -> tuple[list[RegisteredModel], list[RegisteredModel]]:
    """The models that a store offers, the chosen one first; and apart those whose folders are gone."""
    there: list[RegisteredModel] = []
    gone: list[RegisteredModel] = []
    for model in list_models(store, visible_only=True):
        place = Path(model.place)
        (there if not place.is_absolute() or place.exists() else gone).append(model)
    return there, gone


class RegisteredModels(Mapping[str, Completer]):
    """Completers by name, those that the store shows, the chosen one first."""

    def __init__(self, store: Store, serving: Serving, *, api_key: str | None = None) -> None:
        """Opens what the store shows now; raises what `open_models` raises. `api_key` is for servers of models."""
        self._store, self._serving, self._api_key = store, serving, api_key
        there, self.gone = offered_models(store)
        self._served: ServedModels = open_places({model.name: model.place for model in there}, serving, api_key=api_key)
        self._shown = tuple(model.name for model in there)
        self._next_try = dict[str, float]()
        """Name -> when to try again, for what could not be had."""
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Completer:
        if name not in self._shown and name not in self._look(ask_servers=False):
            raise KeyError(name)
        return self._served[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._look())

    def __len__(self) -> int:
        return len(self._look())

    def close(self) -> None:
        """Give up every model of this machine."""
        self._served.close()

    def _look(self, *, ask_servers: bool = True) -> tuple[str, ...]:
        there, _ = offered_models(self._store)
        with self._lock:
            for model in there:
                if model.name not in self._served and (ask_servers or not _must_be_asked(model)):
                    self._open(model)
            self._shown = tuple(model.name for model in there if model.name in self._served)
            return self._shown

    def _open(self, model: RegisteredModel) -> None:
        """One that cannot be had is left out: the others go on."""
        if time.monotonic() < self._next_try.get(model.name, 0.0):
            return
        try:
            self._served.add({model.name: place_of(model.name, model.place, self._serving, self._api_key)})
        except (ModelUnavailable, UserError) as error:
            self._next_try[model.name] = time.monotonic() + AGAIN_SECONDS
            LOG.warning("the model %s is left out: %s", model.name, error)


def _must_be_asked(model: RegisteredModel) -> bool:
    """Whether only its server knows what the model is called there."""
    return "://" in model.place and "#" not in model.place
