"""Leases: a task in the hands of one person, until they submit, skip, give it back, or let it expire.

active ─┬─ submitted
        ├─ skipped      never offered to this person again; enough skips send the task to the review list
        ├─ released     given back
        ├─ freed        taken back by a lead
        └─ expired      no sign of life; taken up again if there is still room when the person comes back
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from instructloop.errors import Conflict, NotFound
from instructloop.store.database import eligibility, schema
from instructloop.store.database.audit import write_audit
from instructloop.store.database.kinds import Body
from instructloop.store.database.leasing import lock_first
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.queues import Queue, find_queue, require_admission
from instructloop.store.database.roles import LEADING, Account, require
from instructloop.store.database.texts import MOST_NOTE, checked

MOST_HELD = 5
"""Leases of one queue that a person may hold at a time."""


_BY_ID = sa.select(schema.leases).where(schema.leases.c.id == sa.bindparam("this_lease"))
_BY_ID_LOCKED = _BY_ID.with_for_update()
_OVERDUE = sa.select(schema.leases).where(schema.leases.c.state == "active", schema.leases.c.expires_at <= sa.bindparam("present"))
_ANY_OVERDUE = _OVERDUE.limit(1)
_LEASE_SECONDS = sa.select(schema.queues.c.lease_seconds).join_from(schema.tasks, schema.queues).where(schema.tasks.c.id == sa.bindparam("this_task"))
_HOLD = sa.update(schema.leases).where(schema.leases.c.id == sa.bindparam("this_lease")).values(state="active", ended_at=None)
_ASSIGN = sa.update(schema.tasks).where(schema.tasks.c.id == sa.bindparam("this_task")).values(assigned=schema.tasks.c.assigned + 1)
_ONE_AT_A_TIME = sa.select(schema.accounts.c.id).where(schema.accounts.c.id == sa.bindparam("this_actor")).with_for_update()
_EARLIER_DRAFT = (
    sa.select(schema.drafts, schema.leases.c.shown)
    .join_from(schema.drafts, schema.leases)
    .where(schema.leases.c.account_id == sa.bindparam("this_actor"), schema.leases.c.task_id == sa.bindparam("this_task"))
    .where(schema.leases.c.id != sa.bindparam("this_lease"), schema.leases.c.purpose != "repeat")
    .order_by(schema.drafts.c.saved_at.desc())
    .limit(1)
)
_ACTIVE = (
    sa.select(schema.leases)
    .join_from(schema.leases, schema.tasks)
    .where(schema.leases.c.state == "active", schema.tasks.c.queue_id == sa.bindparam("this_queue"))
    .order_by(schema.leases.c.taken_at, schema.leases.c.id)
)
_HELD = _ACTIVE.where(schema.leases.c.account_id == sa.bindparam("this_actor"))
"""Statements of every task that is given out are made once: making one takes longer than executing it."""


class LeaseLost(Conflict):
    """The lease is over and cannot be taken up again. What was drafted is still there."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A task in somebody's hands."""

    id: str
    task_id: str
    account_id: str
    purpose: str
    """label, gold or repeat; no page may show which."""
    state: str
    shown: tuple[str, ...]
    """The answers in the order in which this person sees them."""
    guide_id: str | None
    taken_at: datetime
    expires_at: datetime


def lease_next(store: Store, actor: Account, queue_id: str, *, beside: Collection[str] = ()) -> Lease | None:
    """The task that a person is to work on next; None if there is none left for them.

    Whoever holds a lease of the queue gets it again: a page that is loaded twice takes one task. `beside` names leases that do
    not count, so that the next task can be fetched while one is worked on. Raises `AccessDenied`, `GuideUnread`, and
    `Conflict` for a closed queue or too many leases at a time.
    """
    expire_leases(store)
    with store.writing() as connection:
        queue, now = find_queue(connection, queue_id), store.now()
        require_admission(connection, actor, queue)
        _one_at_a_time(connection, actor.id)
        held = _held(connection, actor, queue_id)
        if waiting := [lease for lease in held if lease.id not in beside]:
            return waiting[0]
        if len(held) >= MOST_HELD:
            raise Conflict(f"{len(held)} tasks are in your hands", expected=f"at most {MOST_HELD}", remedy="submit one, or give one back")
        return _take(connection, now, actor, queue)


def held_leases(store: Store, actor: Account, queue_id: str) -> list[Lease]:
    """What a person has in hand of a queue, the oldest first."""
    expire_leases(store)
    with store.reading() as connection:
        return _held(connection, actor, queue_id)


def renew(store: Store, actor: Account, lease_id: str) -> Lease:
    """A sign of life: the lease begins anew. One that has expired is taken up again if there is room; else `LeaseLost`."""
    with store.writing() as connection:
        return hold(connection, store.now(), actor, lease_id)


def release(store: Store, actor: Account, lease_id: str) -> None:
    """Give a task back: others may have it, and oneself too, with what was drafted. Nothing happens if the lease is over."""
    with store.writing() as connection:
        lease = find_lease(connection, actor, lease_id)
        end_lease(connection, store.now(), lease, "released")


def skip(store: Store, actor: Account, lease_id: str, reason: str) -> None:
    """Refuse a task for good, with a reason; enough refusals send it to the review list. Nothing happens if the lease is over."""
    tasks, queues = schema.tasks, schema.queues
    reason = checked(reason, "the reason", most=MOST_NOTE)
    with store.writing() as connection:
        lease = find_lease(connection, actor, lease_id)
        if not end_lease(connection, store.now(), lease, "skipped", reason=reason) or lease.purpose == "repeat":
            return
        connection.execute(sa.update(tasks).where(tasks.c.id == lease.task_id).values(skipped=tasks.c.skipped + 1))
        enough = sa.select(queues.c.skips_to_review).where(queues.c.id == tasks.c.queue_id).scalar_subquery()
        often = tasks.c.id == lease.task_id, tasks.c.state == "open", tasks.c.skipped >= enough
        connection.execute(sa.update(tasks).where(*often).values(state="review"))


def free(store: Store, actor: Account, lease_id: str) -> None:
    """Take a task back from whoever holds it. For administrators and leads; nothing happens if the lease is over."""
    require(actor, LEADING, "free other people's tasks")
    with store.writing() as connection:
        lease = find_lease(connection, None, lease_id)
        if end_lease(connection, store.now(), lease, "freed"):
            write_audit(connection, store.now(), actor, "free lease", ("lease", lease_id), {"held by": lease.account_id})


def list_leases(store: Store, actor: Account, queue_id: str) -> list[Lease]:
    """Who holds what of a queue, the oldest first. For administrators and leads."""
    require(actor, LEADING, "see who holds what")
    expire_leases(store)
    with store.reading() as connection:
        return _leases(connection, _ACTIVE, {"this_queue": queue_id})


def skip_reasons(store: Store, actor: Account, task_id: str) -> list[str]:
    """Why people refused a task. For administrators and leads."""
    require(actor, LEADING, "read why tasks were skipped")
    leases = schema.leases
    query = sa.select(leases.c.reason).where(leases.c.task_id == task_id, leases.c.state == "skipped", leases.c.reason.is_not(None))
    with store.reading() as connection:
        return [reason for reason in connection.execute(query.order_by(leases.c.ended_at)).scalars() if reason is not None]


def expire_leases(store: Store) -> int:
    """End the leases whose time is over, and return how many. Called before tasks are given out; no clock is needed beside it."""
    with store.reading() as connection:
        if connection.execute(_ANY_OVERDUE, {"present": store.now()}).first() is None:
            return 0
    with store.writing() as connection:
        rows = connection.execute(_OVERDUE.with_for_update(skip_locked=True), {"present": store.now()}).mappings().all()
        # In order of the tasks, as two who lock the same rows in different orders would wait for each other for ever.
        ended = [end_lease(connection, store.now(), lease_of(row), "expired") for row in sorted(rows, key=lambda row: row["task_id"])]
    return sum(ended)


def hold(connection: sa.Connection, now: datetime, actor: Account, lease_id: str) -> Lease:
    """The lease, locked and with its time begun anew; one that has expired is taken up again if there is room.

    Raises `NotFound` unless it is the actor's, `LeaseLost` if it is over for good.
    """
    lease = find_lease(connection, actor, lease_id)
    if lease.state not in ("active", "expired") or (lease.state == "expired" and not _take_up(connection, lease)):
        raise LeaseLost(
            f"this task is no longer in your hands: {lease.state}", expected="a lease that is active", remedy="take another task; your draft is kept"
        )
    expires_at = now + timedelta(seconds=connection.execute(_LEASE_SECONDS, {"this_task": lease.task_id}).scalar_one())
    connection.execute(_HOLD, {"this_lease": lease_id, "expires_at": expires_at})
    return replace(lease, state="active", expires_at=expires_at)


def find_lease(connection: sa.Connection, actor: Account | None, lease_id: str, *, lock: bool = True) -> Lease:
    """The lease, locked unless told otherwise; raises `NotFound` unless it is there and, with an actor, theirs."""
    row = connection.execute(_BY_ID_LOCKED if lock else _BY_ID, {"this_lease": lease_id}).mappings().first()
    if row is None or (actor is not None and row["account_id"] != actor.id):
        raise NotFound(f"there is no lease {lease_id!r}", expected="a lease of yours", remedy="take a task first")
    return lease_of(row)


def end_lease(connection: sa.Connection, now: datetime, lease: Lease, state: str, *, reason: str | None = None) -> bool:
    """End a lease without a submission and make room for another; True unless it was over already."""
    leases, tasks = schema.leases, schema.tasks
    active = leases.c.id == lease.id, leases.c.state == "active"
    if not connection.execute(sa.update(leases).where(*active).values(state=state, ended_at=now, reason=reason)).rowcount:
        return False
    if lease.purpose != "repeat":
        connection.execute(sa.update(tasks).where(tasks.c.id == lease.task_id).values(assigned=tasks.c.assigned - 1))
    return True


def lease_of(row: sa.RowMapping) -> Lease:
    """The lease in a row of the table."""
    values: dict[str, Any] = {name: row[name] for name in Lease.__dataclass_fields__}
    values["shown"] = tuple(row["shown"] or ())
    return Lease(**values)


def _take(connection: sa.Connection, now: datetime, actor: Account, queue: Queue) -> Lease | None:
    lease_id = new_id()
    choices = eligibility.choices(connection, actor, queue, lease_id)
    purpose, task = next(((purpose, task) for purpose, choice in choices if (task := lock_first(connection, *choice)) is not None), ("", None))
    return None if task is None else _begin(connection, now, actor, queue, lease_id=lease_id, purpose=purpose, task=task)


def give(connection: sa.Connection, now: datetime, actor: Account, queue: Queue, task_id: str) -> Lease | None:
    """Put an ordinary task into somebody's hands; None if they may not be given it, or it has no room."""
    _one_at_a_time(connection, actor.id)
    query, values = eligibility.ordinary(actor, queue)
    task = lock_first(connection, query.where(schema.tasks.c.id == task_id), values)
    return None if task is None else _begin(connection, now, actor, queue, lease_id=new_id(), purpose="label", task=task)


def _begin(connection: sa.Connection, now: datetime, actor: Account, queue: Queue, *, lease_id: str, purpose: str, task: sa.RowMapping) -> Lease:
    if purpose != "repeat":
        connection.execute(_ASSIGN, {"this_task": task["id"]})
    seconds, shown = queue.settings.lease_seconds, _shuffled(task["payload"], lease_id)
    row: Body = {"task_id": task["id"], "account_id": actor.id, "purpose": purpose, "state": "active", "shown": shown}
    row |= {"guide_id": queue.settings.guide_id, "taken_at": now, "expires_at": now + timedelta(seconds=seconds)}
    connection.execute(sa.insert(schema.leases), {"id": lease_id, **row})
    if purpose != "repeat":
        _carry_on(connection, actor, task["id"], lease_id)
    return find_lease(connection, actor, lease_id)


def _shuffled(payload: Body, lease_id: str) -> list[str]:
    """An order of its own for every lease: no place among the answers is better for any of them."""
    answers: Sequence[str] = payload.get("answers") or ()
    return random.Random(lease_id).sample(answers, len(answers))


def _carry_on(connection: sa.Connection, actor: Account, task_id: str, lease_id: str) -> None:
    """Who comes back to a task finds their draft, and the answers as they stood."""
    leases, drafts = schema.leases, schema.drafts
    this = {"this_actor": actor.id, "this_task": task_id, "this_lease": lease_id}
    if (row := connection.execute(_EARLIER_DRAFT, this).mappings().first()) is not None:
        connection.execute(sa.insert(drafts).values(lease_id=lease_id, **{name: row[name] for name in ("version", "body", "saved_at")}))
        connection.execute(sa.update(leases).where(leases.c.id == lease_id).values(shown=row["shown"]))


def _take_up(connection: sa.Connection, lease: Lease) -> bool:
    """True if an expired lease could be made to count again: its task has room, and the person holds no other lease of it."""
    leases, tasks = schema.leases, schema.tasks
    _one_at_a_time(connection, lease.account_id)
    same = leases.c.account_id == lease.account_id, leases.c.task_id == lease.task_id, leases.c.id != lease.id
    if connection.execute(sa.select(leases.c.id).where(*same, leases.c.state.in_(("active", "submitted", "skipped")))).first():
        return lease.purpose == "repeat"
    if lease.purpose == "repeat":
        return True
    room = tasks.c.id == lease.task_id, sa.or_(tasks.c.is_gold, tasks.c.assigned < tasks.c.overlap)
    return bool(connection.execute(sa.update(tasks).where(*room).values(assigned=tasks.c.assigned + 1)).rowcount)


def _one_at_a_time(connection: sa.Connection, account_id: str) -> None:
    """One person's requests for tasks wait for one another: two at once could both find the same task not yet theirs."""
    connection.execute(_ONE_AT_A_TIME, {"this_actor": account_id})


def _held(connection: sa.Connection, actor: Account, queue_id: str) -> list[Lease]:
    return _leases(connection, _HELD, {"this_queue": queue_id, "this_actor": actor.id})


def _leases(connection: sa.Connection, query: sa.Select[Any], values: Body) -> list[Lease]:
    return [lease_of(row) for row in connection.execute(query, values).mappings()]
