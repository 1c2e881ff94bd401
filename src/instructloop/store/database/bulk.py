"""Acts on many tasks or leases at once: all of them, or, if one cannot be had, none; each with its row in the audit."""

from collections.abc import Collection
from typing import Literal

import sqlalchemy as sa

from instructloop.errors import AccessDenied, Conflict, DataError
from instructloop.store.database import schema
from instructloop.store.database.accounts import find_account
from instructloop.store.database.audit import write_audit
from instructloop.store.database.leases import end_lease, find_lease, give
from instructloop.store.database.opening import Store
from instructloop.store.database.queues import find_queue
from instructloop.store.database.roles import LABELING, LEADING, Account, require
from instructloop.store.database.tasks import change_task

TaskAct = Literal["requeue", "retire"]
MOST = 1000
"""Things that one act may be about."""


def change_tasks(store: Store, actor: Account, task_ids: Collection[str], act: TaskAct, *, overlap: int | None = None) -> int:
    """Offer tasks again (`requeue`, with `overlap` to that many people) or to nobody any more (`retire`); returns how many.

    For administrators and leads. Raises what `requeue_task` and `retire_task` raise, and then nothing has changed.
    """
    require(actor, LEADING, f"{act} tasks")
    _some(task_ids, "tasks")
    values = {"state": "retired"} if act == "retire" else {"state": "open", "skipped": 0} | ({} if overlap is None else {"overlap": overlap})
    with store.writing() as connection:
        for task_id in sorted(set(task_ids)):  # in one order, as two who lock the same rows in different orders would wait for ever
            change_task(connection, store.now(), actor, task_id, f"{act} task", values)
    return len(set(task_ids))


def free_leases(store: Store, actor: Account, lease_ids: Collection[str]) -> int:
    """Take tasks back from whoever holds them; returns how many were still held. For administrators and leads."""
    require(actor, LEADING, "free other people's tasks")
    _some(lease_ids, "leases")
    freed = 0
    with store.writing() as connection:
        for lease_id in sorted(set(lease_ids)):
            lease = find_lease(connection, None, lease_id)
            if end_lease(connection, store.now(), lease, "freed"):
                freed += 1
                write_audit(connection, store.now(), actor, "free lease", ("lease", lease_id), {"held by": lease.account_id})
    return freed


def reassign(store: Store, actor: Account, lease_ids: Collection[str], account_id: str) -> int:
    """Take tasks from whoever holds them and put them into somebody else's hands; returns how many. Drafts stay with their authors.

    For administrators and leads. Raises `Conflict` if the other person may not be given one of them (their own prompt, answered or
    skipped before), or one is no longer held or a repeat, which is a matter of its person; and then nothing has changed.
    """
    require(actor, LEADING, "reassign tasks")
    _some(lease_ids, "leases")
    with store.writing() as connection:
        now, taker = store.now(), find_account(connection, account_id)
        _require_able(taker)
        for lease_id in sorted(set(lease_ids)):
            lease = find_lease(connection, None, lease_id)
            queue_id = connection.execute(sa.select(schema.tasks.c.queue_id).where(schema.tasks.c.id == lease.task_id)).scalar_one()
            queue = find_queue(connection, queue_id)
            if lease.purpose != "label" or not end_lease(connection, now, lease, "freed"):
                raise _cannot(taker, "is no longer held, or cannot pass to another person")
            if give(connection, now, taker, queue, lease.task_id) is None:
                raise _cannot(taker, "cannot be given to them: their own prompt, or answered or skipped by them, or in their hands")
            write_audit(connection, now, actor, "reassign lease", ("lease", lease_id), {"from": lease.account_id, "to": taker.id})
    return len(set(lease_ids))


def _require_able(taker: Account) -> None:
    if taker.role not in LABELING or taker.disabled_at is not None:
        raise AccessDenied(f"{taker.name!r} labels nothing", expected="an active labeler", remedy="choose somebody else")


def _some(ids: Collection[str], what: str) -> None:
    if not 0 < len(ids) <= MOST:
        raise DataError(f"{len(ids)} {what} are chosen", expected=f"1 to {MOST}", remedy="tick those that are meant")


def _cannot(taker: Account, why: str) -> Conflict:
    return Conflict(f"one of the tasks {why}", expected=f"tasks that {taker.name!r} may be given", remedy="choose others, or somebody else")
