"""Models that the site may offer: where they are, what they were made of, and which of them is chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from instructloop.errors import Conflict, NotFound
from instructloop.store.database import schema
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.roles import LEADING, require
from instructloop.store.database.texts import checked, checked_name
from instructloop.store.database.turns import one_at_a_time


@dataclass(frozen=True, kw_only=True)
class NewModel:
    """A model that is to be registered."""

    name: str
    place: str
    """Folder of a checkpoint, hub id, or URL of a server."""
    identity: str | None = None
    """Hash of its weights, as manifests name it."""
    parents: Mapping[str, str] = field(default_factory=dict[str, str])
    """Role -> identity."""
    snapshots: Mapping[str, str] = field(default_factory=dict[str, str])
    """Role -> snapshot id."""
    visible: bool = True
    """Offered in the playground."""


@dataclass(frozen=True, kw_only=True)
class RegisteredModel(NewModel):
    """A model that the store knows."""

    id: str
    chosen: bool
    """What the playground answers with unless another is asked for."""
    created_at: datetime
    retired_at: datetime | None


def register_model(store: Store, actor: Actor, new: NewModel) -> RegisteredModel:
    """Add a model. For administrators, leads and the command line; raises `Conflict` if its name is taken."""
    _require(actor, "register models")
    name, place = checked_name(new.name, "the model's name"), checked(new.place, "the model's place", most=2000)
    row = {"identity": new.identity, "parents": dict(new.parents), "snapshots": dict(new.snapshots), "visible": new.visible}
    with store.writing() as connection:
        one_at_a_time(connection, "model", name)
        if connection.execute(sa.select(schema.models.c.id).where(schema.models.c.name == name)).first():
            raise Conflict(f"there is a model {name!r}", expected="a name that is free", remedy="choose another")
        now, model_id = store.now(), new_id()
        connection.execute(sa.insert(schema.models).values(id=model_id, name=name, place=place, chosen=False, created_at=now, **row))
        write_audit(connection, now, actor, "register model", ("model", model_id), {"name": name, "place": place})
        return _find(connection, name)


def list_models(store: Store, *, visible_only: bool = False) -> list[RegisteredModel]:
    """Models that are not retired: the chosen one first, then the newest."""
    models = schema.models
    query = sa.select(models).where(models.c.retired_at.is_(None)).order_by(models.c.chosen.desc(), models.c.created_at.desc(), models.c.id)
    with store.reading() as connection:
        rows = connection.execute(query.where(models.c.visible) if visible_only else query).mappings().all()
    return [RegisteredModel(**row) for row in rows]


def read_model(store: Store, name: str) -> RegisteredModel:
    """The model of that name, retired or not; raises `NotFound`."""
    with store.reading() as connection:
        return _find(connection, name)


def choose_model(store: Store, actor: Actor, name: str) -> RegisteredModel:
    """Let the playground answer with this model unless another is asked for; it becomes visible. Raises `NotFound`."""
    _require(actor, "choose the playground's model")
    models = schema.models
    with store.writing() as connection:
        one_at_a_time(connection, "chosen model")
        model = _find(connection, name)
        if model.retired_at is not None:
            raise Conflict(f"the model {name!r} is retired", expected="one in service", remedy="register it anew")
        connection.execute(sa.update(models).where(models.c.chosen).values(chosen=False))
        connection.execute(sa.update(models).where(models.c.id == model.id).values(chosen=True, visible=True))
        write_audit(connection, store.now(), actor, "choose model", ("model", model.id), {"name": name})
        return _find(connection, name)


def show_model(store: Store, actor: Actor, name: str, *, visible: bool) -> RegisteredModel:
    """Offer a model in the playground, or stop offering it. Raises `NotFound`."""
    return _change(store, actor, name, "show model" if visible else "hide model", {"visible": visible})


def retire_model(store: Store, actor: Actor, name: str) -> RegisteredModel:
    """Take a model out of service; what it answered and its lineage stay. Raises `NotFound`."""
    return _change(store, actor, name, "retire model", {"visible": False, "chosen": False, "retired_at": store.now()})


def _change(store: Store, actor: Actor, name: str, act: str, values: Mapping[str, object]) -> RegisteredModel:
    _require(actor, f"{act}s")
    with store.writing() as connection:
        model = _find(connection, name)
        connection.execute(sa.update(schema.models).where(schema.models.c.id == model.id).values(**values))
        write_audit(connection, store.now(), actor, act, ("model", model.id), {"name": name})
        return _find(connection, name)


def _find(connection: sa.Connection, name: str) -> RegisteredModel:
    row = connection.execute(sa.select(schema.models).where(schema.models.c.name == name)).mappings().first()
    if row is None:
        raise NotFound(f"there is no model {name!r}", expected="a registered model", remedy="look at the list of models")
    return RegisteredModel(**row)


def _require(actor: Actor, act: str) -> None:
    if actor is not None:
        require(actor, LEADING, act)
