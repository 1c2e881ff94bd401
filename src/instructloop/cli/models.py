"""`instructloop models list|add|choose|show|hide|retire --store …`: the models that a feedback store knows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from instructloop.cli.parsing import parse
from instructloop.cli.refusals import mistyped
from instructloop.cli.stores import opened

if TYPE_CHECKING:
    from instructloop.store.database.models import RegisteredModel
    from instructloop.store.database.opening import Store


@dataclass(frozen=True, kw_only=True)
class InStore:
    """Models that are not retired: the chosen one first, then the newest."""

    store: str
    """Feedback store: a path, or postgresql+psycopg://..."""


@dataclass(frozen=True, kw_only=True)
class Add(InStore):
    """Register a model with what it was made of, so that the site offers it and `instructloop lineage` finds it."""

    place: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|DIR|HUB_ID|URL")]
    """Run folder, checkpoint folder, hub id, or address of a server with OpenAI's API (http://host/v1#model)."""
    name: str | None = None
    """What people will call it; the run's name if not given."""
    choose: bool = False
    """Let the playground answer with it unless another is asked for."""
    hidden: bool = False
    """Do not offer it."""


@dataclass(frozen=True, kw_only=True)
class Named(InStore):
    """Change what the site does with a model."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """As `instructloop models list` shows it."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    kind, rest = (argv[0], argv[1:]) if argv else ("--help", [])
    if kind in ("-h", "--help"):
        print("usage: instructloop models {" + ",".join(KINDS) + "} --store STORE [...]\n\n`instructloop models ACT --help` tells more.")
        raise SystemExit(0)
    if kind not in KINDS:
        raise mistyped("kind", kind, KINDS, see="instructloop models --help")
    arguments, act = KINDS[kind]
    asked = parse(f"models {kind}", arguments, rest)
    with opened(asked.store, new=kind == "add") as store:
        act(store, asked)


def _list(store: "Store", _: InStore) -> None:
    from instructloop.store.database.models import list_models

    for model in list_models(store):
        print(_line(model))


def _add(store: "Store", asked: Add) -> None:
    from instructloop.loop.registering import register_place
    from instructloop.store.database.models import choose_model

    model = register_place(store, None, asked.place, name=asked.name, visible=not asked.hidden)
    print(_line(choose_model(store, None, model.name) if asked.choose else model))


def _choose(store: "Store", asked: Named) -> None:
    from instructloop.store.database.models import choose_model

    print(_line(choose_model(store, None, asked.name)))


def _show(store: "Store", asked: Named, *, visible: bool = True) -> None:
    from instructloop.store.database.models import show_model

    print(_line(show_model(store, None, asked.name, visible=visible)))


def _hide(store: "Store", asked: Named) -> None:
    _show(store, asked, visible=False)


def _retire(store: "Store", asked: Named) -> None:
    from instructloop.store.database.models import retire_model

    print(f"{retire_model(store, None, asked.name).name} is retired")


def _line(model: "RegisteredModel") -> str:
    state = "chosen" if model.chosen else "offered" if model.visible else "hidden"
    return f"{model.name:24}{state:10}{model.place}"


KINDS: Mapping[str, tuple[type[InStore], Callable[..., None]]] = {
    "list": (InStore, _list),
    "add": (Add, _add),
    "choose": (Named, _choose),
    "show": (Named, _show),
    "hide": (Named, _hide),
    "retire": (Named, _retire),
}
