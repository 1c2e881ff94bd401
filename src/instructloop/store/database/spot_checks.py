"""Spot checks: submissions drawn by chance, which a lead reads and finds in order or doubtful."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from instructloop.errors import Conflict, NotFound
from instructloop.store.database import schema
from instructloop.store.database.audit import write_audit
from instructloop.store.database.judgements import is_latest
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.roles import LEADING, READING, Account, require
from instructloop.store.database.texts import MOST_NOTE, checked
from instructloop.store.database.turns import one_at_a_time


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A submission to look at. Whose it is, is not said: it is the work that is looked at."""

    submission_id: str
    queue: str
    kind: str
    prompt: str | None
    answers: tuple[tuple[str, str], ...]
    """(id, text)."""
    body: Mapping[str, Any]
    work: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The outcome of a spot check."""

    submission_id: str
    queue_id: str
    person: str
    fine: bool
    note: str
    at: datetime


def draw_submission(store: Store, actor: Account) -> Drawn | None:
    """A submission by chance among those that nobody has checked; None if there is none. For administrators and leads."""
    require(actor, LEADING, "check the work of others")
    submissions, tasks, queues, prompts, checks = schema.submissions, schema.tasks, schema.queues, schema.prompts, schema.spot_checks
    text = sa.func.coalesce(prompts.c.curated_text, prompts.c.text).label("prompt")
    query = (
        sa.select(submissions, queues.c.name.label("queue"), queues.c.kind, tasks.c.prompt_id, text)
        .join_from(submissions, tasks, submissions.c.task_id == tasks.c.id)
        .join(queues, queues.c.id == tasks.c.queue_id)
        .outerjoin(prompts, prompts.c.id == tasks.c.prompt_id)
        .where(is_latest(), submissions.c.account_id != actor.id, prompts.c.erased_at.is_(None))
        .where(~sa.exists().where(checks.c.submission_id == submissions.c.id))
        .order_by(sa.func.random())
        .limit(1)
    )
    with store.reading() as connection:
        row = connection.execute(query).mappings().first()
        if row is None:
            return None
        answers = _answers(connection, row["prompt_id"], list(row["body"].get("ratings", {})))
    return Drawn(
        submission_id=row["id"], queue=row["queue"], kind=row["kind"], prompt=row["prompt"], answers=answers, body=row["body"], work=row["work"]
    )


def check_submission(store: Store, actor: Account, submission_id: str, *, fine: bool, note: str = "") -> None:
    """Say whether a submission is in order. For administrators and leads; raises `NotFound`, and `Conflict` if it was checked already."""
    require(actor, LEADING, "check the work of others")
    submissions, checks = schema.submissions, schema.spot_checks
    note = checked(note, "the note", most=MOST_NOTE, filled=False)
    with store.writing() as connection:
        if connection.execute(sa.select(submissions.c.id).where(submissions.c.id == submission_id)).first() is None:
            raise NotFound(f"there is no submission {submission_id!r}", expected="the id of one", remedy="draw another")
        one_at_a_time(connection, "spot check", submission_id)
        if connection.execute(sa.select(checks.c.id).where(checks.c.submission_id == submission_id)).first():
            raise Conflict("somebody has checked it meanwhile", expected="one check of each", remedy="draw another")
        now = store.now()
        row = {"submission_id": submission_id, "account_id": actor.id, "fine": fine, "note": note}
        connection.execute(sa.insert(checks).values(id=new_id(), at=now, **row))
        write_audit(connection, now, actor, "spot check", ("submission", submission_id), {"fine": fine})


def list_checks(store: Store, actor: Account, *, limit: int = 500) -> list[Checked]:
    """The newest first. For those who read everything."""
    require(actor, READING, "see spot checks")
    submissions, tasks, checks = schema.submissions, schema.tasks, schema.spot_checks
    query = (
        sa.select(checks, submissions.c.account_id.label("person"), tasks.c.queue_id)
        .join_from(checks, submissions, checks.c.submission_id == submissions.c.id)
        .join(tasks, tasks.c.id == submissions.c.task_id)
        .order_by(checks.c.at.desc(), checks.c.id)
        .limit(limit)
    )
    with store.reading() as connection:
        return [Checked(**{name: row[name] for name in Checked.__dataclass_fields__}) for row in connection.execute(query).mappings()]


def _answers(connection: sa.Connection, prompt_id: str | None, ids: list[str]) -> tuple[tuple[str, str], ...]:
    answers = schema.answers
    query = sa.select(answers.c.id, answers.c.text).where(answers.c.prompt_id == prompt_id, answers.c.id.in_(ids))
    texts = dict(connection.execute(query).all())
    return tuple((id_, texts.get(id_) or "") for id_ in ids)
