"""From the store to snapshots, and the memory of what each was made of."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from instructloop.errors import DataError
from instructloop.records import RECORDS, Completion, Prompt, Rating, Record, Snapshot
from instructloop.store.database import labels, schema
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.kinds import Body
from instructloop.store.database.labels import Labeled
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import READING, require
from instructloop.store.database.turns import one_at_a_time
from instructloop.store.snapshots import freeze, open_snapshot, read_split
from instructloop.store.splits import assign_split

DataSet = Literal["prompts", "demonstrations", "rankings", "ratings"]
READERS: Mapping[DataSet, Callable[..., Iterable[Labeled]]] = {
    "prompts": labels.training_prompts,
    "demonstrations": labels.training_demonstrations,
    "rankings": labels.training_rankings,
    "ratings": labels.training_ratings,
}
FRACTIONS: Mapping[str, float] = {"train": 0.9, "valid": 0.1}

SplitOf = Callable[[Prompt], str | None]
"""The split of a prompt and of everything said of it; None leaves it out, as curation may have."""


def by_user(fractions: Mapping[str, float] = FRACTIONS, *, seed: int = 0) -> SplitOf:
    """A stable hash of the user decides (paper §3.2): nobody's prompts lie in two splits."""
    return lambda prompt: assign_split(prompt.user_id, fractions=fractions, seed=seed)


def freeze_from_store(store: Store, actor: Actor, data: DataSet, folder: Path, *, split_of: SplitOf, query: str) -> Snapshot:
    """Freeze everything that may train into a new folder, and remember of which prompts and labels it was made.

    For those who read everything, and the command line. Raises `DataError` if the folder exists or nothing may train.
    """
    prompts = _prompts_by_id(store, actor) if data == "ratings" else {}
    splits: dict[str, list[Record]] = {}
    rows: list[Body] = []
    for one in READERS[data](store, actor):
        prompt = prompts[one.record.completion.prompt_id] if isinstance(one.record, Rating) else prompt_of(one.record)
        if (split := split_of(prompt)) is not None:
            splits.setdefault(split, []).append(one.record)
            rows.append({"prompt_id": prompt.id, "user_id": prompt.user_id, "label_id": one.label_id or ""})
    if not splits:
        raise DataError(f"the store holds no {data} that may train", expected="one or more", remedy="collect some, or ask for consent")
    snapshot = freeze(folder, splits, query=query, source_of=source_of)
    with store.writing() as connection:
        _remember(connection, store.now(), actor, snapshot, folder, rows)
    return snapshot


def register_snapshot(store: Store, actor: Actor, folder: Path, *, redacts: str | None = None) -> Snapshot:
    """Remember a snapshot that was frozen elsewhere, by curation for instance, and whose prompts are inside.

    One that `redacts` another was made of the same labels, but for those of the prompts that are gone. Nothing happens for one that is
    known. Raises `DataError` if the folder is no snapshot or was altered.
    """
    if actor is not None:
        require(actor, READING, "register snapshots")
    snapshot = open_snapshot(folder)
    with store.reading() as connection:
        if _is_known(connection, snapshot):
            return snapshot
        made_of = _labels_in(connection, redacts)
    records = (record for split in snapshot.counts for record in read_split(folder, split, RECORDS[snapshot.record]))
    seen = dict(person for record in records for person in people_in(record))
    rows: list[Body] = [
        {"prompt_id": prompt_id, "user_id": user_id, "label_id": label_id}
        for prompt_id, user_id in seen.items()
        for label_id in made_of.get(prompt_id, ("",))
    ]
    with store.writing() as connection:
        _remember(connection, store.now(), actor, snapshot, folder, rows, redacts=redacts)
    return snapshot


def prompt_of(record: Record) -> Prompt:
    """The prompt that a record is, or is about."""
    return record if isinstance(record, Prompt) else getattr(record, "prompt")  # noqa: B009 (every other record of a store has one)


def source_of(record: Record) -> str:
    """Labelers or customers, as in the paper's Table 6; imports under the name of what they came from."""
    prompt = record if isinstance(record, Prompt) else getattr(record, "prompt", None)
    if not isinstance(prompt, Prompt):
        return "labeler"
    return prompt.provenance.origin or {"playground": "customer"}.get(prompt.source, prompt.source)


def people_in(record: Record) -> list[tuple[str, str]]:
    """(prompt id, user id) of the prompt in a record; none for documents, and no user where a record does not hold the prompt."""
    prompt = record if isinstance(record, Prompt) else getattr(record, "prompt", None)
    if isinstance(prompt, Prompt):
        return [(prompt.id, prompt.user_id)]
    completion = record if isinstance(record, Completion) else getattr(record, "completion", None)
    return [(completion.prompt_id, "")] if isinstance(completion, Completion) else []


def _remember(
    connection: sa.Connection, at: datetime, actor: Actor, snapshot: Snapshot, folder: Path, rows: list[Body], redacts: str | None = None
) -> None:
    snapshots = schema.snapshots
    one_at_a_time(connection, "snapshot", snapshot.id)
    if _is_known(connection, snapshot):
        return
    row: dict[str, Any] = {"folder": str(folder.absolute()), "record": snapshot.record, "query": snapshot.query, "redacts": redacts}
    row |= {"counts": {split: dict(sources) for split, sources in snapshot.counts.items()}, "created_at": at}
    connection.execute(sa.insert(snapshots).values(id=snapshot.id, **row))
    if rows:
        connection.execute(sa.insert(schema.snapshot_rows), [row | {"snapshot_id": snapshot.id} for row in rows])
    write_audit(connection, at, actor, "freeze snapshot", ("snapshot", snapshot.id), {"folder": row["folder"], "rows": len(rows)})


def _is_known(connection: sa.Connection, snapshot: Snapshot) -> bool:
    return connection.execute(sa.select(schema.snapshots.c.id).where(schema.snapshots.c.id == snapshot.id)).first() is not None


def _labels_in(connection: sa.Connection, snapshot_id: str | None) -> dict[str, list[str]]:
    """Prompt -> the labels of it that a snapshot was made of."""
    rows, found = schema.snapshot_rows, dict[str, list[str]]()
    for prompt_id, label_id in connection.execute(sa.select(rows.c.prompt_id, rows.c.label_id).where(rows.c.snapshot_id == snapshot_id)):
        found.setdefault(prompt_id, []).append(label_id)
    return found


def _prompts_by_id(store: Store, actor: Actor) -> dict[str, Prompt]:
    return {one.record.id: one.record for one in labels.training_prompts(store, actor)}
