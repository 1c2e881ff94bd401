"""What a labeler sees of their own day: the queues with what is left for them, and what they have submitted."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from instructloop.store.database import eligibility, schema
from instructloop.store.database.kinds import Kind
from instructloop.store.database.leases import expire_leases
from instructloop.store.database.opening import Store
from instructloop.store.database.queues import Guide, Queue, list_queues, unread_guide
from instructloop.store.database.roles import LABELING, Account, require

EXCERPT = 280
"""Characters of a prompt by which people know their work again."""


@dataclass(frozen=True, kw_only=True)
class OwnQueue:
    """A queue as one person stands to it."""

    queue: Queue
    left: int
    """Tasks that they could be given now. Gold tasks and repeats are not counted, so that no count tells them apart."""
    held: int
    """Tasks in their hands."""
    submitted: int
    """What they have answered, revisions not counted again."""
    guide: Guide | None
    """The version of the guide that they have not acknowledged."""


@dataclass(frozen=True, kw_only=True)
class OwnWork:
    """Something a person has submitted, as it stands after revisions."""

    submission_id: str
    queue_name: str
    kind: Kind
    excerpt: str | None
    """How the prompt begins; None where a prompt was written or has been erased."""
    at: datetime
    revisable_until: datetime
    is_revision: bool


def own_queues(store: Store, actor: Account) -> list[OwnQueue]:
    """The open queues that a person may be given tasks of, in the order of their making."""
    expire_leases(store)
    queues = [queue for queue in list_queues(store, actor) if queue.settings.open]
    with store.reading() as connection:
        held, submitted = _held(connection, actor), _submitted(connection, actor)
        return [
            OwnQueue(
                queue=queue,
                left=_left(connection, actor, queue),
                held=held.get(queue.id, 0),
                submitted=submitted.get(queue.id, 0),
                guide=unread_guide(connection, actor, queue),
            )
            for queue in queues
        ]


def _left(connection: sa.Connection, actor: Account, queue: Queue) -> int:
    """How many tasks of a queue a person may still be given."""
    query, values = eligibility.ordinary(actor, queue)
    return connection.execute(sa.select(sa.func.count()).select_from(query.subquery()), values).scalar_one()


def own_work(store: Store, actor: Account, *, before: datetime | None = None, limit: int = 20) -> list[OwnWork]:
    """What a person has submitted, the newest first, from before a moment on; what they revised stands once, as it is now."""
    require(actor, LABELING, "look at work of theirs")
    submissions, tasks, queues, prompts = schema.submissions, schema.tasks, schema.queues, schema.prompts
    later = submissions.alias("later")
    replaced = sa.exists().where(later.c.revises == submissions.c.id)
    text = sa.func.substr(sa.func.coalesce(prompts.c.curated_text, prompts.c.text), 1, EXCERPT)
    query = (
        sa.select(submissions.c.id, submissions.c.at, submissions.c.revises, queues.c.name, queues.c.kind, queues.c.revise_seconds, text)
        .join_from(submissions, tasks, submissions.c.task_id == tasks.c.id)
        .join(queues)
        .outerjoin(prompts, tasks.c.prompt_id == prompts.c.id)
        .where(submissions.c.account_id == actor.id, ~replaced)
        .order_by(submissions.c.at.desc(), submissions.c.id)
        .limit(limit)
    )
    with store.reading() as connection:
        rows = connection.execute(query if before is None else query.where(submissions.c.at < before)).all()
    return [
        OwnWork(
            submission_id=id_,
            queue_name=name,
            kind=kind,
            excerpt=excerpt,
            at=at,
            revisable_until=at + timedelta(seconds=seconds),
            is_revision=bool(old),
        )
        for id_, at, old, name, kind, seconds, excerpt in rows
    ]


def _held(connection: sa.Connection, actor: Account) -> dict[str, int]:
    leases = schema.leases
    return _by_queue(connection, leases, (leases.c.account_id == actor.id, leases.c.state == "active"))


def _submitted(connection: sa.Connection, actor: Account) -> dict[str, int]:
    submissions = schema.submissions
    return _by_queue(connection, submissions, (submissions.c.account_id == actor.id, submissions.c.revises.is_(None)))


def _by_queue(connection: sa.Connection, table: sa.Table, which: Collection[sa.ColumnElement[bool]]) -> dict[str, int]:
    tasks = schema.tasks
    query = sa.select(tasks.c.queue_id, sa.func.count()).join_from(table, tasks, table.c.task_id == tasks.c.id).where(*which)
    return dict(connection.execute(query.group_by(tasks.c.queue_id)).all())
