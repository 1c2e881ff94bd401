"""Which task a person may be given: everything that rules one out stands in the query that takes it.

Ordinary tasks: open, with room left, not about the person's own prompt, and neither in their hands, answered nor refused before.
Gold tasks: the same, without counting who else is on them. Repeats: answered by the person, long enough ago, and once only.
"""

from collections.abc import Iterator, Mapping

import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.leasing import Query
from instructloop.store.database.queues import Queue
from instructloop.store.database.roles import Account
from instructloop.store.splits import unit_hash

REPEAT_AFTER = 10
"""Tasks of the queue that a person must have answered since: what came a moment ago would be recognised."""


Choice = tuple[Query, Mapping[str, object]]
"""A query for tasks, and the values that it is to be executed with."""


def choices(connection: sa.Connection, actor: Account, queue: Queue, lease_id: str) -> Iterator[tuple[str, Choice]]:
    """(purpose, query and values) in the order in which to look for a task; the rates decide by the hash of the lease's random id."""
    drawn, settings = unit_hash(lease_id), queue.settings
    if drawn < settings.gold_rate:
        yield "gold", (_GOLD, _values(actor, queue))
    elif drawn < settings.gold_rate + settings.repeat_rate:
        yield "repeat", (_answered(connection, actor, queue), {})
    yield "label", ordinary(actor, queue)


def ordinary(actor: Account, queue: Queue) -> Choice:
    """The ordinary tasks of a queue that a person may be given; gold ones and repeats are never counted out to anybody."""
    return _ORDINARY, _values(actor, queue)


def _values(actor: Account, queue: Queue) -> Mapping[str, object]:
    return {"this_actor": actor.id, "this_queue": queue.id}


def _fresh() -> Query:
    actor, tasks, leases = sa.bindparam("this_actor", type_=sa.Text()), schema.tasks, schema.leases
    met = sa.exists().where(leases.c.account_id == actor, leases.c.task_id == tasks.c.id, leases.c.state.in_(("active", "submitted", "skipped")))
    not_own = sa.or_(tasks.c.author.is_(None), tasks.c.author != actor)
    return (
        sa.select(tasks.c.id, tasks.c.payload)
        .where(tasks.c.queue_id == sa.bindparam("this_queue"), tasks.c.state == "open", not_own, ~met)
        .order_by(tasks.c.position, tasks.c.created_at, tasks.c.id)
    )


_GOLD = _fresh().where(schema.tasks.c.is_gold)
_ORDINARY = _fresh().where(~schema.tasks.c.is_gold, schema.tasks.c.assigned < schema.tasks.c.overlap)


def _answered(connection: sa.Connection, actor: Account, queue: Queue) -> Query:
    """The task whose answer lies farthest back; tasks with gold answers, retired ones and those of erased prompts do not come again."""
    tasks, submissions, leases = schema.tasks, schema.submissions, schema.leases
    first = submissions.c.account_id == actor.id, submissions.c.purpose == "label", submissions.c.revises.is_(None), tasks.c.queue_id == queue.id
    recent = sa.select(submissions.c.at).join_from(submissions, tasks, submissions.c.task_id == tasks.c.id).where(*first)
    boundary = connection.execute(recent.order_by(submissions.c.at.desc()).offset(REPEAT_AFTER - 1).limit(1)).scalar()
    again = sa.exists().where(leases.c.account_id == actor.id, leases.c.task_id == tasks.c.id, leases.c.purpose == "repeat")
    before = submissions.c.at < boundary if boundary is not None else sa.false()
    answered = sa.select(sa.func.min(submissions.c.at)).where(submissions.c.task_id == tasks.c.id, submissions.c.account_id == actor.id, before)
    oldest = answered.correlate(tasks).scalar_subquery()
    return (
        sa.select(tasks.c.id, tasks.c.payload)
        .where(tasks.c.queue_id == queue.id, ~tasks.c.is_gold, tasks.c.state.in_(("open", "done")), oldest.is_not(None), ~again)
        .order_by(oldest, tasks.c.id)
    )
