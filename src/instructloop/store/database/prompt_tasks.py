"""Tasks about prompts: to write some, to answer or describe those that labelers have written, or those of a data set.

Prompts of the playground and of imports come to labelers by way of a data set alone: curation masks what is personal in them.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from instructloop.errors import ConfigError, DataError, NotFound
from instructloop.records import Prompt, PromptKind
from instructloop.store.database import schema
from instructloop.store.database.intake import take_prompt
from instructloop.store.database.labels import is_by_held_out
from instructloop.store.database.leasing import Query
from instructloop.store.database.opening import Store
from instructloop.store.database.queues import Queue, find_queue
from instructloop.store.database.roles import LEADING, Account, require
from instructloop.store.database.tasks import NewTask, add_tasks
from instructloop.store.snapshots import open_snapshot, read_split

MOST = 1000
"""Tasks that are added at a time."""


def add_tasks_to_write(store: Store, actor: Account, queue_id: str, kind: PromptKind, about: str | None, *, count: int) -> int:
    """Ask for `count` prompts of a kind, if need be about something; returns how many. For administrators and leads."""
    require(actor, LEADING, "add tasks")
    _check_number(count)
    return len(add_tasks(store, actor, queue_id, [NewTask(prompt_kind=kind, about=about)] * count))


def add_tasks_about_written(store: Store, actor: Account, queue_id: str, *, most: int) -> int:
    """Ask about prompts that labelers have written, the oldest of those that the queue does not ask about; returns how many.

    For administrators and leads. Raises `DataError` if there are none, and what `add_tasks` raises.
    """
    require(actor, LEADING, "add tasks")
    _check_number(most)
    with store.reading() as connection:
        queue = find_queue(connection, queue_id)
        ids = connection.execute(_written(queue).limit(most)).scalars().all()
    return _add(store, actor, queue_id, ids)


def add_tasks_about_snapshot(store: Store, actor: Account, queue_id: str, snapshot_id: str, *, most: int) -> int:
    """Ask about prompts of a snapshot, the first of those that the queue does not ask about; returns how many.

    Prompts that are not there yet are stored. For administrators and leads. Raises `NotFound` for a snapshot that the store does not
    know, `DataError` if its files are gone or the queue asks about all its prompts, and what `add_tasks` raises.
    """
    require(actor, LEADING, "add tasks")
    _check_number(most)
    with store.reading() as connection:
        queue = find_queue(connection, queue_id)
        folder, left_out = _folder_of(connection, snapshot_id), set(connection.execute(_left_out(queue)).scalars())
    prompts = (prompt for split in open_snapshot(folder).counts for prompt in read_split(folder, split, Prompt))
    new = list(islice((prompt for prompt in prompts if prompt.id not in left_out), most))
    with store.writing() as connection:
        for prompt in new:
            take_prompt(connection, store.now(), prompt, None, curated=True)
    return _add(store, actor, queue_id, [prompt.id for prompt in new])


def _written(queue: Queue) -> Query:
    """A prompt that was revised has lost its consent; what held-out labelers write is for judging models alone."""
    prompts = schema.prompts
    query = sa.select(prompts.c.id).where(prompts.c.source == "labeler", prompts.c.derived_from.is_(None), prompts.c.may_train)
    query = query.where(prompts.c.id.not_in(_left_out(queue)))
    return (query if queue.mode == "evaluation" else query.where(~is_by_held_out())).order_by(prompts.c.created_at, prompts.c.id)


def _left_out(queue: Queue) -> sa.CompoundSelect[Any]:
    """Prompts that the queue asks about, that were erased, or that must not be trained on where that is what the queue is for."""
    prompts, tasks = schema.prompts, schema.tasks
    unusable = prompts.c.erased_at.is_not(None)
    if queue.mode == "training":
        unusable = sa.or_(unusable, ~prompts.c.may_train)
    asked = sa.select(tasks.c.prompt_id).where(tasks.c.queue_id == queue.id, tasks.c.prompt_id.is_not(None))
    return sa.union(asked, sa.select(prompts.c.id).where(unusable))


def _folder_of(connection: sa.Connection, snapshot_id: str) -> Path:
    snapshots = schema.snapshots
    query = sa.select(snapshots.c.folder).where(snapshots.c.id == snapshot_id, snapshots.c.record == Prompt.__name__)
    folder = connection.execute(query).scalar_one_or_none()
    if folder is None:
        raise NotFound(f"there is no data set of prompts {snapshot_id!r}", expected="one that the store remembers", remedy="curate prompts first")
    return Path(folder)


def _add(store: Store, actor: Account, queue_id: str, prompt_ids: Sequence[str]) -> int:
    if not prompt_ids:
        raise DataError("the queue asks about all these prompts already", expected="prompts that are new to it", remedy="choose others")
    return len(add_tasks(store, actor, queue_id, [NewTask(prompt_id=prompt_id) for prompt_id in prompt_ids]))


def _check_number(most: int) -> None:
    if not 1 <= most <= MOST:
        raise ConfigError(f"{most} tasks", expected=f"1 to {MOST} at a time", remedy="correct the number")
