"""What the example has frozen, in a folder beside its store, and the models that have read it.

FOLDER/curated/prompts    what curation has left of all prompts: candidates are sampled for these
FOLDER/demonstrations     what the first model would be trained on
FOLDER/rankings           what a reward model would be trained on
"""

from pathlib import Path

import instructloop
from instructloop.curate.settings import Curation
from instructloop.errors import StoreError
from instructloop.loop.curation import Request, choose_stages, curate_store
from instructloop.records import Snapshot
from instructloop.store.database.freezing import DataSet, by_user, freeze_from_store, register_snapshot
from instructloop.store.database.models import NewModel, register_model
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import Account

MODELS = ("example-sft", "example-ppo")
"""Who gave the answers of the example. Nobody can ask them."""
SMALL, PLACE = "small-world-base", Path(instructloop.__file__).parent / "lab" / "base"
"""The base of the demo, which comes with the package: a worker can sample answers of it, in its own simple words."""
QUERY = "instructloop serve --example"


def folder_beside(store: Store) -> Path:
    """Where the data sets of the example go: beside a file, for PostgreSQL into the present folder. Raises `StoreError` if it exists."""
    folder = Path(f"{store.engine.url.database}-data").absolute()
    if folder.exists():
        raise StoreError(f"{folder} exists", expected="a new folder for the data sets of the example", remedy="move it away, or name another store")
    return folder


def freeze_example(store: Store, lead: Account, folder: Path) -> None:
    """Curate the prompts, freeze what may train, and register the models that would come of it, for their family."""
    curate_store(store, Request(out=folder / "curated", stages=choose_stages((), ("length",)), command=QUERY))
    prompts = register_snapshot(store, lead, folder / "curated" / "prompts")
    demonstrations, rankings = (_frozen(store, lead, data, folder / data) for data in ("demonstrations", "rankings"))
    first, second = MODELS
    register_model(store, lead, _model(first, {"demonstrations": demonstrations.id}))
    register_model(store, lead, _model(second, {"rankings": rankings.id, "prompts": prompts.id}, {"policy": f"{first}-weights"}))
    register_model(store, lead, NewModel(name=SMALL, place=str(PLACE), visible=False))


def _frozen(store: Store, lead: Account, data: DataSet, out: Path) -> Snapshot:
    return freeze_from_store(store, lead, data, out, split_of=by_user(Curation().fractions), query=QUERY)


def _model(name: str, snapshots: dict[str, str], parents: dict[str, str] | None = None) -> NewModel:
    return NewModel(name=name, place=f"example/{name}", identity=f"{name}-weights", visible=False, snapshots=snapshots, parents=parents or {})
