"""What leads see of the work: each queue at a glance, its tasks with their prompts, who holds what, which guides there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.leases import Lease, expire_leases, lease_of
from instructloop.store.database.opening import Store
from instructloop.store.database.queues import Guide, Queue, find_queue, queue_of
from instructloop.store.database.roles import LEADING, READING, Account, account_of, require
from instructloop.store.database.tasks import Task

EXCERPT = 160
"""Characters of a prompt by which a lead knows it."""
GOLD = "gold"
"""In place of a state: tasks with a known answer, whatever their state."""


@dataclass(frozen=True, kw_only=True)
class QueueOverview:
    """A queue, and how far it is. Gold tasks are counted apart: they are never done."""

    queue: Queue
    states: Mapping[str, int]
    """State -> number of ordinary tasks."""
    wanted: int
    """Labels that the ordinary tasks ask for in all: tasks times overlap, without those retired."""
    given: int
    held: int
    """Tasks in somebody's hands, gold ones too."""
    gold: int

    @property
    def left(self) -> int:
        """Labels that nobody has given yet."""
        return max(0, self.wanted - self.given)

    @property
    def to_review(self) -> int:
        """Tasks that wait for a lead."""
        return self.states.get("review", 0)


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """A task in a list."""

    task: Task
    excerpt: str | None
    """The beginning of its prompt; None if there is none, or it was erased."""
    about: str | None
    """What a prompt is to be written about."""
    prompt_kind: str
    """Which kind of prompt is to be written."""
    reasons: tuple[str, ...]
    """Why people skipped it."""


@dataclass(frozen=True, kw_only=True)
class LeaseRow:
    """A task in somebody's hands, in a list."""

    lease: Lease
    name: str
    queue: str
    excerpt: str | None
    drafted_at: datetime | None
    """When something was last typed."""


def queue_overviews(store: Store, actor: Account) -> list[QueueOverview]:
    """Every queue, the oldest first. For administrators, leads and researchers."""
    require(actor, READING, "see every queue")
    expire_leases(store)
    tasks = schema.tasks
    number, going = sa.func.count(), tasks.c.state != "retired"
    counted = sa.select(
        tasks.c.queue_id, tasks.c.state, tasks.c.is_gold, number.label("tasks"),
        sa.func.sum(sa.case((going, tasks.c.overlap), else_=0)).label("wanted"),
        sa.func.sum(tasks.c.submitted).label("given"), sa.func.sum(tasks.c.assigned - tasks.c.submitted).label("held"),
    ).group_by(tasks.c.queue_id, tasks.c.state, tasks.c.is_gold)  # fmt: skip
    queues = sa.select(schema.queues).order_by(schema.queues.c.created_at, schema.queues.c.id)
    with store.reading() as connection:
        rows = connection.execute(counted).mappings().all()
        return [_overview(queue_of(row), [one for one in rows if one["queue_id"] == row["id"]]) for row in connection.execute(queues).mappings()]


def queue_overview(store: Store, actor: Account, queue_id: str) -> QueueOverview:
    """One queue; raises `NotFound`."""
    with store.reading() as connection:
        queue = find_queue(connection, queue_id)
    return next(one for one in queue_overviews(store, actor) if one.queue.id == queue.id)


def task_rows(store: Store, actor: Account, queue_id: str | None, *, state: str | None, limit: int = 50, after: str = "") -> list[TaskRow]:
    """Tasks of a queue, or of all, in order of their ids; the state "review" gives the review list, `GOLD` the gold tasks. Not for labelers."""
    require(actor, READING, "list tasks")
    tasks, prompts = schema.tasks, schema.prompts
    query = sa.select(tasks, _excerpt()).outerjoin_from(tasks, prompts).where(tasks.c.id > after).order_by(tasks.c.id).limit(limit)
    for column, wanted in ((tasks.c.queue_id, queue_id), (tasks.c.is_gold, True) if state == GOLD else (tasks.c.state, state)):
        query = query if wanted is None else query.where(column == wanted)
    with store.reading() as connection:
        rows = connection.execute(query).mappings().all()
        reasons = _reasons(connection, [row["id"] for row in rows if row["skipped"] or row["state"] == "review"])
    return [_task_row(row, reasons.get(row["id"], ())) for row in rows]


def lease_rows(store: Store, actor: Account, *, limit: int = 200) -> list[LeaseRow]:
    """Who holds what, the oldest first. For administrators and leads."""
    require(actor, LEADING, "see who holds what")
    expire_leases(store)
    leases, tasks, queues, accounts, drafts = schema.leases, schema.tasks, schema.queues, schema.accounts, schema.drafts
    query = (
        sa.select(leases, accounts.c.name, queues.c.name.label("queue"), _excerpt(), drafts.c.saved_at)
        .join_from(leases, tasks, leases.c.task_id == tasks.c.id)
        .join(queues, queues.c.id == tasks.c.queue_id)
        .join(accounts, accounts.c.id == leases.c.account_id)
        .outerjoin(schema.prompts, schema.prompts.c.id == tasks.c.prompt_id)
        .outerjoin(drafts, drafts.c.lease_id == leases.c.id)
        .where(leases.c.state == "active")
        .order_by(leases.c.taken_at, leases.c.id)
        .limit(limit)
    )
    with store.reading() as connection:
        return [
            LeaseRow(lease=lease_of(row), name=row["name"], queue=row["queue"], excerpt=row["excerpt"], drafted_at=row["saved_at"])
            for row in connection.execute(query).mappings()
        ]


def list_guides(store: Store, actor: Account) -> list[Guide]:
    """Every version of every guide, by name, the newest first. For those who read everything."""
    require(actor, READING, "list guides")
    guides = schema.guides
    with store.reading() as connection:
        return [Guide(**row) for row in connection.execute(sa.select(guides).order_by(guides.c.name, guides.c.version.desc())).mappings()]


def guide_readers(store: Store, actor: Account) -> dict[str, int]:
    """Guide -> how many people have acknowledged that version."""
    require(actor, READING, "see who has read what")
    read = schema.acknowledgements
    with store.reading() as connection:
        return dict(connection.execute(sa.select(read.c.guide_id, sa.func.count()).group_by(read.c.guide_id)).all())


def qualified_people(store: Store, actor: Account, queue_id: str) -> list[Account]:
    """Who is qualified for a queue, by name. For administrators, leads and researchers."""
    require(actor, READING, "see who is qualified")
    accounts, qualified = schema.accounts, schema.qualifications
    query = sa.select(accounts).join_from(accounts, qualified).where(qualified.c.queue_id == queue_id).order_by(sa.func.lower(accounts.c.name))
    with store.reading() as connection:
        return [account_of(row) for row in connection.execute(query).mappings()]


def qualified_queues(store: Store, actor: Account, account_id: str) -> set[str]:
    """The queues that a person is qualified for. For administrators, leads and researchers."""
    require(actor, READING, "see who is qualified")
    qualified = schema.qualifications
    with store.reading() as connection:
        return set(connection.execute(sa.select(qualified.c.queue_id).where(qualified.c.account_id == account_id)).scalars())


def _overview(queue: Queue, rows: list[sa.RowMapping]) -> QueueOverview:
    ordinary = [row for row in rows if not row["is_gold"]]
    total = {name: sum(row[name] for row in ordinary) for name in ("wanted", "given")}
    return QueueOverview(
        queue=queue, states={row["state"]: row["tasks"] for row in ordinary}, held=sum(row["held"] for row in rows),
        gold=sum(row["tasks"] for row in rows if row["is_gold"]), **total,
    )  # fmt: skip


def _task_row(row: sa.RowMapping, reasons: Sequence[str]) -> TaskRow:
    payload: Mapping[str, Any] = row["payload"] or {}
    task = Task(**{name: row[name] for name in Task.__dataclass_fields__})
    about, prompt_kind = payload.get("about"), payload.get("prompt_kind", "plain")
    return TaskRow(task=task, excerpt=row["excerpt"], about=about, prompt_kind=prompt_kind, reasons=tuple(reasons))


def _excerpt() -> sa.Label[str]:
    prompts = schema.prompts
    return sa.func.substr(sa.func.coalesce(prompts.c.curated_text, prompts.c.text), 1, EXCERPT).label("excerpt")


def _reasons(connection: sa.Connection, task_ids: list[str]) -> dict[str, list[str]]:
    leases = schema.leases
    query = sa.select(leases.c.task_id, leases.c.reason).where(leases.c.task_id.in_(task_ids), leases.c.state == "skipped")
    found: dict[str, list[str]] = {}
    for task_id, reason in connection.execute(query.order_by(leases.c.ended_at)):
        found.setdefault(task_id, []).append(reason or "")
    return found
