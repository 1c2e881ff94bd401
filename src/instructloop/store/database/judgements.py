"""What people judged, for counting how far they agree: rankings, evaluations and ratings as they stand after revisions, by whom, when."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.labels import is_by_held_out, is_current
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import READING, Account, require

GOLD = "gold"
"""The person in whose name known answers stand."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One person's word on one task."""

    task_id: str
    prompt_id: str
    person: str
    """Account id."""
    purpose: str
    at: datetime
    ranks: Mapping[str, int]
    """Answer -> rank, 1 the best, equal for a tie; of two answers of an evaluation too."""
    ratings: Mapping[str, Mapping[str, Any]]
    """Answer -> {"likert", "flags", "note"}."""


def judgements(store: Store, actor: Account, queue_id: str, *, since: datetime | None = None) -> list[Judgement]:
    """Every judgement of a queue, of every purpose, the oldest first. For those who read everything."""
    require(actor, READING, "read everybody's labels")
    submissions, tasks = schema.submissions, schema.tasks
    query = (
        sa.select(submissions, tasks.c.prompt_id)
        .join_from(submissions, tasks, submissions.c.task_id == tasks.c.id)
        .where(tasks.c.queue_id == queue_id, is_latest(), tasks.c.prompt_id.is_not(None))
        .order_by(submissions.c.at, submissions.c.id)
    )
    if since is not None:
        query = query.where(submissions.c.at >= since)
    with store.reading() as connection:
        return [_judgement(row) for row in connection.execute(query).mappings()]


def known_answers(store: Store, actor: Account, queue_id: str) -> list[Judgement]:
    """The known answers of a queue's gold tasks, in the name of `GOLD`. For those who read everything."""
    require(actor, READING, "read known answers")
    tasks = schema.tasks
    query = sa.select(tasks).where(tasks.c.queue_id == queue_id, tasks.c.is_gold, tasks.c.prompt_id.is_not(None)).order_by(tasks.c.id)
    with store.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return [
        Judgement(
            task_id=row["id"], prompt_id=row["prompt_id"], person=GOLD, purpose=GOLD, at=row["created_at"],
            ranks=ranks_of(row["gold"]), ratings=row["gold"].get("ratings", {}),
        )
        for row in rows
    ]  # fmt: skip


def ranks_of(body: Mapping[str, Any]) -> dict[str, int]:
    """Answer -> rank of what a submission says; empty for kinds that judge nothing."""
    if "groups" in body:
        return {answer: place for place, group in enumerate(body["groups"], start=1) for answer in group}
    if "preferred" in body:
        return {answer: 1 if body["preferred"] in (None, answer) else 2 for answer in body["ratings"]}
    return {}


def is_latest() -> sa.ColumnElement[bool]:
    """True for submissions that nothing revises."""
    revision = schema.submissions.alias("later")
    return ~sa.exists().where(revision.c.revises == schema.submissions.c.id)


def labels_by_source(store: Store, actor: Account) -> Iterator[tuple[str, str, int]]:
    """(kind of label, source of the prompt, number of prompts) of what may train now: the live side of the paper's Table 6."""
    require(actor, READING, "read everybody's labels")
    labels, prompts, accounts = schema.labels, schema.prompts, schema.accounts
    held_out = sa.exists().where(accounts.c.id == labels.c.labeler_id, accounts.c.held_out)
    training = prompts.c.may_train, prompts.c.erased_at.is_(None), ~is_by_held_out()
    labeled = (
        sa.select(labels.c.kind, prompts.c.source, sa.func.count(sa.distinct(labels.c.prompt_id)))
        .join_from(labels, prompts)
        .where(labels.c.kind.in_(("demonstration", "ranking")), labels.c.mode == "training", labels.c.purpose.in_(("label", "import")))
        .where(is_current(), ~held_out, *training)
        .group_by(labels.c.kind, prompts.c.source)
    )
    asked = sa.select(sa.literal("prompt"), prompts.c.source, sa.func.count()).where(*training).group_by(prompts.c.source)
    with store.reading() as connection:
        yield from [(kind, source, number) for query in (labeled, asked) for kind, source, number in connection.execute(query)]


def _judgement(row: sa.RowMapping) -> Judgement:
    return Judgement(
        task_id=row["task_id"], prompt_id=row["prompt_id"], person=row["account_id"], purpose=row["purpose"], at=row["at"],
        ranks=ranks_of(row["body"]), ratings=row["body"].get("ratings", {}),
    )  # fmt: skip
