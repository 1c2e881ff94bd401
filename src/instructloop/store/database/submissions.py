"""Submissions: what people say, for good. A row is never changed; a revision is another row that names the one it replaces."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from instructloop.errors import AccessDenied, Conflict, DataError, NotFound
from instructloop.store.database import schema
from instructloop.store.database.audit import write_audit
from instructloop.store.database.drafts import Draft, write_draft
from instructloop.store.database.kinds import Body, check_body
from instructloop.store.database.labeling import LabeledTask, task_of, write_labels
from instructloop.store.database.leases import Lease, find_lease, hold
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.roles import LEADING, READING, Account
from instructloop.store.database.texts import MOST_NAME, checked, checked_json

_TASKS = schema.tasks
_BY_KEY = sa.select(schema.submissions).where(
    schema.submissions.c.account_id == sa.bindparam("this_actor"), schema.submissions.c.key == sa.bindparam("this_key")
)
_END_LEASE = sa.update(schema.leases).where(schema.leases.c.id == sa.bindparam("this_lease")).values(state="submitted")
_END_DRAFT = sa.delete(schema.drafts).where(schema.drafts.c.lease_id == sa.bindparam("this_lease"))
_COUNT = sa.update(_TASKS).where(_TASKS.c.id == sa.bindparam("this_task")).values(submitted=_TASKS.c.submitted + 1)
_END_TASK = (
    sa.update(_TASKS)
    .where(_TASKS.c.id == sa.bindparam("this_task"), _TASKS.c.state == "open", ~_TASKS.c.is_gold, _TASKS.c.submitted >= _TASKS.c.overlap)
    .values(state="done")
)
"""Statements of every submission are made once: making one takes longer than executing it."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How an answer came about, as the page measured it, with notice."""

    seconds: float = 0.0
    """With the page in view."""
    pasted: float = 0.0
    """Share of the text that was pasted, 0 to 1."""

    def __post_init__(self) -> None:
        if not (0 <= self.seconds < 10**7 and 0 <= self.pasted <= 1):
            raise DataError(f"{self.seconds} seconds, {self.pasted} pasted", expected="seconds, and a share from 0 to 1", remedy="correct them")


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One person's answer to one task."""

    id: str
    key: str
    task_id: str
    lease_id: str
    account_id: str
    purpose: str
    revises: str | None
    body: Mapping[str, Any]
    work: Mapping[str, float]
    guide_id: str | None
    at: datetime


def submit(store: Store, actor: Account, lease_id: str, body: Any, *, key: str, work: Work | None = None) -> Submission:
    """Submit the answer to a task in hand. `key` is made by the caller, once per answer: the same key gives the same record.

    Checks the body as `kinds.py` says (`DataError`). A lease that has expired is taken up again if there is room, else
    `LeaseLost`. Raises `Conflict` for a task that was submitted under another key, `NotFound` for somebody else's lease or a
    prompt that its author has erased meanwhile.
    """
    work = work or Work()
    with store.writing(durable=True) as connection:
        if (there := _by_key(connection, actor, key)) is not None:
            return _same(there, there.lease_id == lease_id)
        lease = find_lease(connection, actor, lease_id)
        if lease.state == "submitted":
            if (there := _by_key(connection, actor, key)) is not None:  # another request with this key held the lease until now
                return _same(there, there.lease_id == lease_id)
            raise Conflict("this task is submitted already", expected="one submission; a revision afterwards", remedy="take the next task")
        lease, now = hold(connection, store.now(), actor, lease_id), store.now()
        task = _task(connection, lease)
        submission = _insert(connection, now, actor, lease, key=key, body=_checked(task, lease, body), work=work, revises=None)
        _close(connection, now, lease)
        write_labels(connection, actor, submission.id, task, submission.body, now)
    return submission


def revise(store: Store, actor: Account, submission_id: str, body: Any, *, key: str, work: Work | None = None) -> Submission:
    """Replace a submission that nothing replaces yet; the old one is kept. One's own within the queue's window; a lead's any time.

    The record is that of whoever revises. Same key, same record. Raises `NotFound` for one that is not there or not for them,
    `AccessDenied` after the window, `Conflict` if it was revised meanwhile.
    """
    work = work or Work()
    with store.writing(durable=True) as connection:
        if (there := _by_key(connection, actor, key)) is not None:
            return _same(there, there.revises == submission_id)
        old, now = _find(connection, submission_id), store.now()
        lease = find_lease(connection, None, old.lease_id)
        if (there := _by_key(connection, actor, key)) is not None:  # another request with this key held the lease until now
            return _same(there, there.revises == submission_id)
        task = _task(connection, lease)
        _require_revising(connection, actor, old, task, now)
        new = _insert(connection, now, actor, lease, key=key, body=_checked(task, lease, body), work=work, revises=old.id)
        connection.execute(_END_DRAFT, {"this_lease": lease.id})
        write_labels(connection, actor, new.id, task, new.body, now, replaces=old.id)
        if actor.id != old.account_id:
            write_audit(connection, now, actor, "revise submission", ("submission", old.id), {"by": new.id})
    return new


def save_revision_draft(store: Store, actor: Account, submission_id: str, body: Any, *, version: int) -> Draft:
    """Keep what was typed of a revision, as `save_draft` does of an answer: one draft, whoever revises; it ends when somebody has.

    Raises `StaleDraft` with the stored draft, and what `revise` raises for what must not be revised.
    """
    checked_json(body, "the draft")
    with store.writing() as connection:
        old, now = _find(connection, submission_id), store.now()
        lease = find_lease(connection, None, old.lease_id)
        _require_revising(connection, actor, old, _task(connection, lease), now)
        return write_draft(connection, now, lease.id, body, version=version)


def read_submission(store: Store, actor: Account, submission_id: str) -> Submission:
    """One's own, or anybody's for those who read everything. To others it is `NotFound`: nobody sees earlier answers."""
    with store.reading() as connection:
        submission = _find(connection, submission_id)
    if submission.account_id != actor.id and actor.role not in READING:
        raise _absent(submission_id)
    return submission


def list_submissions(store: Store, actor: Account, *, task_id: str | None = None, limit: int = 100) -> list[Submission]:
    """The newest first: one's own, or everybody's for those who read everything; of one task if it is named."""
    submissions = schema.submissions
    query = sa.select(submissions).order_by(submissions.c.at.desc(), submissions.c.id).limit(limit)
    if actor.role not in READING:
        query = query.where(submissions.c.account_id == actor.id)
    if task_id is not None:
        query = query.where(submissions.c.task_id == task_id)
    with store.reading() as connection:
        return [Submission(**row) for row in connection.execute(query).mappings()]


def _task(connection: sa.Connection, lease: Lease) -> LabeledTask:
    task = task_of(connection, lease.task_id, lease.purpose)
    if task.erased:
        raise NotFound("the author of this prompt has erased it", expected="a prompt that is there", remedy="take the next task")
    return task


def _checked(task: LabeledTask, lease: Lease, body: Any) -> Body:
    return check_body(task.kind, body, answers=lease.shown, prompt_kind=task.prompt_kind)


def _insert(
    connection: sa.Connection, now: datetime, actor: Account, lease: Lease, *, key: str, body: Body, work: Work, revises: str | None
) -> Submission:  # exempt: a row of the table has these parts
    submission = Submission(
        id=new_id(), key=checked(key, "the key", most=MOST_NAME), task_id=lease.task_id, lease_id=lease.id, account_id=actor.id,
        purpose=lease.purpose, revises=revises, body=body, work={"seconds": work.seconds, "pasted": work.pasted}, guide_id=lease.guide_id, at=now,
    )  # fmt: skip
    connection.execute(sa.insert(schema.submissions), vars(submission))
    return submission


def _close(connection: sa.Connection, now: datetime, lease: Lease) -> None:
    """The lease ends, its draft with it, and the task if everybody asked has answered; its place on the task stays taken."""
    connection.execute(_END_LEASE, {"this_lease": lease.id, "ended_at": now})
    connection.execute(_END_DRAFT, {"this_lease": lease.id})
    if lease.purpose != "repeat":
        connection.execute(_COUNT, {"this_task": lease.task_id})
        connection.execute(_END_TASK, {"this_task": lease.task_id})


def _require_revising(connection: sa.Connection, actor: Account, old: Submission, task: LabeledTask, now: datetime) -> None:
    if actor.role not in LEADING and actor.id != old.account_id:
        raise _absent(old.id)
    if actor.role not in LEADING and now - old.at > timedelta(seconds=task.revise_seconds):
        raise AccessDenied(
            f"this answer was given at {old.at:%Y-%m-%d %H:%M} UTC", expected=f"a revision within {task.revise_seconds} seconds", remedy="ask a lead"
        )
    if connection.execute(sa.select(schema.submissions.c.id).where(schema.submissions.c.revises == old.id)).first():
        raise Conflict("this answer was revised already", expected="the latest version", remedy="revise that one")


def _by_key(connection: sa.Connection, actor: Account, key: str) -> Submission | None:
    row = connection.execute(_BY_KEY, {"this_actor": actor.id, "this_key": key}).mappings().first()
    return Submission(**row) if row else None


def _same(there: Submission, same: bool) -> Submission:
    if not same:
        raise Conflict("this key was used for another answer", expected="a new key for every answer", remedy="make a new one")
    return there


def _find(connection: sa.Connection, submission_id: str) -> Submission:
    row = connection.execute(sa.select(schema.submissions).where(schema.submissions.c.id == submission_id)).mappings().first()
    if row is None:
        raise _absent(submission_id)
    return Submission(**row)


def _absent(submission_id: str) -> NotFound:
    return NotFound(f"there is no submission {submission_id!r}", expected="the id of one of yours", remedy="look at the list")
