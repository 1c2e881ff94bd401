"""One task as leads and researchers see it: what is asked, the known answer if there is one, and what everybody said."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from instructloop.errors import NotFound
from instructloop.store.database import schema
from instructloop.store.database.judgements import is_latest
from instructloop.store.database.opening import Store
from instructloop.store.database.queues import Queue, find_queue
from instructloop.store.database.roles import READING, Account, require
from instructloop.store.database.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one person submitted, as it stands after revisions."""

    submission_id: str
    name: str
    purpose: str
    body: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, kw_only=True)
class TaskSheet:
    """A task in full."""

    task: Task
    queue: Queue
    prompt: str | None
    """None if a prompt is to be written, or its author has erased it."""
    about: str | None
    answers: tuple[tuple[str, str], ...]
    """(id, text) in the order of the task; the text is empty if it was erased."""
    known: Mapping[str, Any] | None
    said: tuple[Said, ...]
    """The oldest first."""


def task_sheet(store: Store, actor: Account, task_id: str) -> TaskSheet:
    """Everything about a task. For administrators, leads and researchers; raises `NotFound`."""
    require(actor, READING, "look into tasks")
    tasks, prompts = schema.tasks, schema.prompts
    text = sa.func.coalesce(prompts.c.curated_text, prompts.c.text).label("prompt")
    query = sa.select(tasks, text).outerjoin_from(tasks, prompts).where(tasks.c.id == task_id)
    with store.reading() as connection:
        row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"there is no task {task_id!r}", expected="the id of a task", remedy="look at the list of tasks")
        payload: Mapping[str, Any] = row["payload"] or {}
        return TaskSheet(
            task=Task(**{name: row[name] for name in Task.__dataclass_fields__}), queue=find_queue(connection, row["queue_id"]),
            prompt=row["prompt"], about=payload.get("about"), answers=_answers(connection, row["prompt_id"], payload.get("answers", ())),
            known=row["gold"], said=_said(connection, task_id),
        )  # fmt: skip


def _answers(connection: sa.Connection, prompt_id: str | None, ids: list[str]) -> tuple[tuple[str, str], ...]:
    answers = schema.answers
    texts = dict(connection.execute(sa.select(answers.c.id, answers.c.text).where(answers.c.prompt_id == prompt_id, answers.c.id.in_(ids))).all())
    return tuple((id_, texts.get(id_) or "") for id_ in ids)


def _said(connection: sa.Connection, task_id: str) -> tuple[Said, ...]:
    submissions, accounts = schema.submissions, schema.accounts
    query = (
        sa.select(submissions, accounts.c.name)
        .join_from(submissions, accounts, accounts.c.id == submissions.c.account_id)
        .where(submissions.c.task_id == task_id, is_latest())
        .order_by(submissions.c.at, submissions.c.id)
    )
    return tuple(
        Said(submission_id=row["id"], name=row["name"], purpose=row["purpose"], body=row["body"], at=row["at"])
        for row in connection.execute(query).mappings()
    )
