"""A registered model's family, as the store remembers it: what it was trained on, whose data that is, the models before it.

Only what the store knows; `instructloop lineage FOLDER` looks into files as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.models import RegisteredModel, read_model
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import READING, Account, require


@dataclass(frozen=True, kw_only=True)
class KnownSnapshot:
    """A snapshot that the store remembers."""

    id: str
    record: str
    folder: str
    counts: Mapping[str, Mapping[str, int]]
    """Split -> source -> records."""
    created_at: datetime
    users: int
    """People whose prompts are inside."""
    erased: int
    """Prompts inside that were erased since: `instructloop snapshot redact` takes them out."""

    @property
    def records(self) -> int:
        """In all splits."""
        return sum(sum(sources.values()) for sources in self.counts.values())


@dataclass(frozen=True, kw_only=True)
class Family:
    """A model, what it has read, and what it came from."""

    model: RegisteredModel
    snapshots: Mapping[str, KnownSnapshot | str]
    """Role -> the snapshot, or its id where the store does not know it."""
    parents: Mapping[str, "Family | str"]
    """Role -> the family of the parent, or its identity where the store does not know it."""
    erased: int
    """Erased prompts in what it or a model before it has read."""

    @property
    def snapshot_ids(self) -> frozenset[str]:
        """Of everything that it or a model before it has read."""
        own = frozenset(one if isinstance(one, str) else one.id for one in self.snapshots.values())
        return own.union(*(parent.snapshot_ids for parent in self.parents.values() if isinstance(parent, Family)))


@dataclass(frozen=True, kw_only=True)
class Contributor:
    """A person whose data is inside a model, or in one before it."""

    name: str
    """Of the account, followed by a stroke and the end user that a program named; of imports, what the file called them."""
    prompts: int
    """Prompts of theirs."""
    labels: int
    """What they said of prompts and answers."""


def model_family(store: Store, actor: Account, name: str) -> Family:
    """The family of a registered model; raises `NotFound`. For those who read everything."""
    require(actor, READING, "see where models come from")
    model = read_model(store, name)
    with store.reading() as connection:
        known = {snapshot.id: snapshot for snapshot in _snapshots(connection)}
        rows = connection.execute(sa.select(schema.models)).mappings().all()
    models = {row["identity"]: RegisteredModel(**row) for row in rows if row["identity"]}
    return _family(model, known, models, frozenset())


def contributors(store: Store, actor: Account, family: Family) -> list[Contributor]:
    """Everybody whose prompts or labels are in what a model or one before it has read, by name. For those who read everything."""
    require(actor, READING, "see whose data is inside a model")
    rows, labels, accounts = schema.snapshot_rows, schema.labels, schema.accounts
    inside = rows.c.snapshot_id.in_(family.snapshot_ids)
    asked = sa.select(rows.c.user_id, sa.func.count(sa.distinct(rows.c.prompt_id))).where(inside, rows.c.user_id != "").group_by(rows.c.user_id)
    said = sa.select(labels.c.labeler_id, sa.func.count(sa.distinct(labels.c.id))).join_from(rows, labels, labels.c.id == rows.c.label_id)
    with store.reading() as connection:
        prompts = dict(connection.execute(asked).all())
        given = dict(connection.execute(said.where(inside).group_by(labels.c.labeler_id)).all())
        names = dict(connection.execute(sa.select(accounts.c.id, accounts.c.name)).all())
    people = [Contributor(name=_name(id_, names), prompts=prompts.get(id_, 0), labels=given.get(id_, 0)) for id_ in {*prompts, *given}]
    return sorted(people, key=lambda one: one.name.lower())


def _name(user: str, names: Mapping[str, str]) -> str:
    account, stroke, end_user = user.partition("/")
    return f"{names.get(account, account)}{stroke}{end_user}"


def list_snapshots(store: Store, actor: Account) -> list[KnownSnapshot]:
    """Every snapshot that the store remembers, the newest first. For those who read everything."""
    require(actor, READING, "see snapshots")
    with store.reading() as connection:
        return _snapshots(connection)


def _family(model: RegisteredModel, known: Mapping[str, KnownSnapshot], models: Mapping[str, RegisteredModel], seen: frozenset[str]) -> Family:
    snapshots: dict[str, KnownSnapshot | str] = {role: known.get(id_, id_) for role, id_ in model.snapshots.items()}
    parents: dict[str, Family | str] = {}
    for role, identity in model.parents.items():
        parent = models.get(identity)
        is_new = parent is not None and parent.id not in seen and parent.id != model.id
        parents[role] = _family(parent, known, models, seen | {model.id}) if parent is not None and is_new else identity
    erased = sum(snapshot.erased for snapshot in snapshots.values() if isinstance(snapshot, KnownSnapshot))
    erased += sum(parent.erased for parent in parents.values() if isinstance(parent, Family))
    return Family(model=model, snapshots=snapshots, parents=parents, erased=erased)


def _snapshots(connection: sa.Connection) -> list[KnownSnapshot]:
    snapshots, rows, prompts = schema.snapshots, schema.snapshot_rows, schema.prompts
    people = (
        sa.select(
            rows.c.snapshot_id,
            sa.func.count(sa.distinct(rows.c.user_id)).label("users"),
            sa.func.count(sa.distinct(sa.case((prompts.c.erased_at.is_not(None), rows.c.prompt_id)))).label("erased"),
        )
        .outerjoin_from(rows, prompts, prompts.c.id == rows.c.prompt_id)
        .group_by(rows.c.snapshot_id)
    )
    inside: dict[str, Any] = {row["snapshot_id"]: row for row in connection.execute(people).mappings()}
    fields = ("id", "record", "folder", "counts", "created_at")
    found: list[KnownSnapshot] = []
    for row in connection.execute(sa.select(snapshots).order_by(snapshots.c.created_at.desc(), snapshots.c.id)).mappings():
        counted = inside.get(row["id"], {"users": 0, "erased": 0})
        found.append(KnownSnapshot(**{name: row[name] for name in fields}, users=counted["users"], erased=counted["erased"]))
    return found
