"""How the work goes: labels a day, time per task, pasted text, skips, leases that grow old, and how far prompts come.

Nothing here ranks people: who is fast is not who is right.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.leases import expire_leases
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import READING, Account, require


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Submissions of a stretch of days, revisions not counted again."""

    days: tuple[date, ...]
    """In UTC, the oldest first, without gaps."""
    by_queue: Mapping[str, tuple[int, ...]]
    """Queue -> submissions of each day."""


@dataclass(frozen=True, kw_only=True)
class TaskTime:
    """How long tasks of a queue took, with the page in view."""

    queue_id: str
    n: int
    quarter: float
    median: float
    three_quarters: float
    """Seconds."""
    pasted: float
    """Share of submissions of which more than half was pasted."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How many prompts have come so far."""

    name: str
    prompts: int


def throughput(store: Store, actor: Account, *, days: int = 30) -> Throughput:
    """Submissions a day and queue. For those who read everything."""
    require(actor, READING, "see the work of others")
    today = store.now().date()
    shown = tuple(today - timedelta(days=back) for back in reversed(range(days)))
    submissions, tasks = schema.submissions, schema.tasks
    query = (
        sa.select(tasks.c.queue_id, submissions.c.at)
        .join_from(submissions, tasks, submissions.c.task_id == tasks.c.id)
        .where(submissions.c.revises.is_(None), submissions.c.at >= store.now() - timedelta(days=days))
    )
    with store.reading() as connection:
        counts = Counter((queue_id, at.date()) for queue_id, at in connection.execute(query))
    queues = sorted({queue_id for queue_id, _ in counts})
    return Throughput(days=shown, by_queue={queue: tuple(counts[queue, day] for day in shown) for queue in queues})


def task_times(store: Store, actor: Account, *, days: int = 30) -> list[TaskTime]:
    """Time per task of every queue, of submissions that state one. For those who read everything."""
    require(actor, READING, "see the work of others")
    submissions, tasks = schema.submissions, schema.tasks
    query = (
        sa.select(tasks.c.queue_id, submissions.c.work)
        .join_from(submissions, tasks, submissions.c.task_id == tasks.c.id)
        .where(submissions.c.revises.is_(None), submissions.c.at >= store.now() - timedelta(days=days))
    )
    spent: dict[str, list[float]] = {}
    pasted = Counter[str]()
    with store.reading() as connection:
        for queue_id, work in connection.execute(query):
            if work["seconds"] > 0:
                spent.setdefault(queue_id, []).append(work["seconds"])
                pasted[queue_id] += work["pasted"] > 0.5
    return [_task_time(queue_id, sorted(seconds), pasted[queue_id]) for queue_id, seconds in sorted(spent.items())]


def skip_counts(store: Store, actor: Account, *, days: int = 90) -> dict[str, int]:
    """Reason -> how often a task was skipped for it, the most frequent first; words after a colon are left to the review list."""
    require(actor, READING, "read why tasks were skipped")
    leases = schema.leases
    recent = leases.c.state == "skipped", leases.c.ended_at >= store.now() - timedelta(days=days)
    with store.reading() as connection:
        reasons = connection.execute(sa.select(leases.c.reason).where(*recent)).scalars().all()
    return dict(Counter((reason or "").partition(":")[0].strip() for reason in reasons).most_common())


def lease_ages(store: Store, actor: Account, hours: tuple[float, ...]) -> list[int]:
    """How many tasks have been in hand for up to each of some numbers of hours, and, last, for longer."""
    require(actor, READING, "see who holds what")
    expire_leases(store)
    leases, now = schema.leases, store.now()
    with store.reading() as connection:
        taken = connection.execute(sa.select(leases.c.taken_at).where(leases.c.state == "active")).scalars().all()
    held = [(now - at).total_seconds() / 3600 for at in taken]
    bounds = (0.0, *hours, float("inf"))
    return [sum(low <= age < high for age in held) for low, high in pairwise(bounds)]


def funnel(store: Store, actor: Account) -> list[Stage]:
    """How many prompts come how far: stored, not erased, may train, given out as tasks, labeled, their labels frozen for training.

    Each stage counts those of the stage before that come further. Imports bring labels without a task.
    """
    require(actor, READING, "see everybody's data")
    prompts, tasks, labels, snapshots, frozen = schema.prompts, schema.tasks, schema.labels, schema.snapshots, schema.snapshot_rows
    labeled = sa.exists().where(labels.c.prompt_id == prompts.c.id, labels.c.kind != "prompt")
    conditions = {
        "stored": sa.true(),
        "kept": prompts.c.erased_at.is_(None),
        "may_train": prompts.c.may_train,
        "given": sa.or_(labeled, sa.exists().where(tasks.c.prompt_id == prompts.c.id)),
        "labeled": labeled,
        "frozen": sa.exists().where(frozen.c.prompt_id == prompts.c.id, frozen.c.snapshot_id == snapshots.c.id, snapshots.c.record != "Prompt"),
    }
    query = sa.select(sa.func.count()).select_from(prompts)
    with store.reading() as connection:
        counts = [connection.execute(query := query.where(condition)).scalar_one() for condition in conditions.values()]
    return [Stage(name=name, prompts=count) for name, count in zip(conditions, counts, strict=True)]


def first_label_at(store: Store, actor: Account) -> datetime | None:
    """When the first submission came; None if there is none."""
    require(actor, READING, "see the work of others")
    with store.reading() as connection:
        return connection.execute(sa.select(sa.func.min(schema.submissions.c.at))).scalar()


def _task_time(queue_id: str, seconds: list[float], pasted: int) -> TaskTime:
    quarter, median, three = (_quantile(seconds, share) for share in (0.25, 0.5, 0.75))
    return TaskTime(queue_id=queue_id, n=len(seconds), quarter=quarter, median=median, three_quarters=three, pasted=pasted / len(seconds))


def _quantile(ordered: list[float], share: float) -> float:
    """By straight lines between the values."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
