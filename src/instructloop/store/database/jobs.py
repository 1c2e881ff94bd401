"""Jobs for the worker: sampling candidates, imports, snapshots. Taken as tasks are, lost by no crash, and their effect had once.

A worker claims a job and renews it while it works. If it dies, the lease expires and another takes the job up. What the job writes
to the database is written in the transaction that finishes it, and only while the lease is still the worker's: a job whose
first worker comes back to life has its effect once. What a job writes to files, it writes under a name made of the job's id.

A payload holds ids and paths, never people's texts: erasing a prompt does not look into jobs.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from instructloop.errors import Conflict, NotFound
from instructloop.store.database import schema
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.leasing import lock_first
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.roles import LEADING, require
from instructloop.store.database.texts import MOST_NAME, MOST_NOTE, checked, checked_json, checked_name
from instructloop.store.database.turns import one_at_a_time

LEASE_SECONDS = 60
"""Without a sign of life of its worker a job is taken up by another after this time."""


class JobLost(Conflict):
    """The job is no longer this worker's: it was silent for too long, and another took it up."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something to be done."""

    id: str
    key: str
    """Whoever asks for the same thing twice, under the same key, gets the same job."""
    kind: str
    payload: Mapping[str, Any]
    state: str
    """waiting, running, done, failed (after `most_attempts`), cancelled."""
    attempts: int
    most_attempts: int
    worker: str | None
    lease: str | None
    """Secret of the worker that has claimed it."""
    expires_at: datetime | None
    result: Any
    error: str | None
    created_at: datetime
    ended_at: datetime | None


def enqueue(store: Store, actor: Actor, kind: str, payload: Mapping[str, Any], *, key: str, most_attempts: int = 3) -> Job:
    """Ask for a job; the same key gives the job that is there already. For administrators, leads and the command line."""
    if actor is not None:
        require(actor, LEADING, "start jobs")
    jobs = schema.jobs
    with store.writing(durable=True) as connection:
        one_at_a_time(connection, "job", key)
        if (there := connection.execute(sa.select(jobs).where(jobs.c.key == key)).mappings().first()) is not None:
            return _job_of(there)
        row = {"key": checked(key, "the key", most=MOST_NAME), "kind": checked_name(kind, "the kind of job"), "state": "waiting"}
        row |= {"payload": checked_json(dict(payload), "the payload"), "account_id": actor.id if actor else None}
        job_id, now = new_id(), store.now()
        connection.execute(sa.insert(jobs).values(id=job_id, created_at=now, most_attempts=most_attempts, **row))
        write_audit(connection, now, actor, "start job", ("job", job_id), {"kind": kind})
        return _find(connection, job_id)


def claim(store: Store, worker: str, kinds: Collection[str], *, seconds: float = LEASE_SECONDS) -> Job | None:
    """The oldest job of some kinds that waits or whose worker has died; None if there is none. It is this worker's from now on."""
    jobs = schema.jobs
    with store.writing() as connection:
        now = store.now()
        _give_up(connection, now)
        waiting = sa.or_(jobs.c.state == "waiting", sa.and_(jobs.c.state == "running", jobs.c.expires_at <= now))
        free = sa.select(jobs.c.id).where(jobs.c.kind.in_(kinds), waiting).order_by(jobs.c.created_at, jobs.c.id)
        row = lock_first(connection, free)
        if row is None:
            return None
        taken = {"state": "running", "worker": worker, "lease": new_id(), "expires_at": now + timedelta(seconds=seconds)}
        this = sa.update(jobs).where(jobs.c.id == row["id"])
        connection.execute(this.values(attempts=jobs.c.attempts + 1, **taken))
        return _find(connection, row["id"])


def renew_job(store: Store, job: Job, *, seconds: float = LEASE_SECONDS) -> None:
    """A sign of life of the worker; raises `JobLost` if the job is no longer its own: it should stop."""
    with store.writing() as connection:
        _update(connection, job, {"expires_at": store.now() + timedelta(seconds=seconds)})


def finish_job(store: Store, job: Job, result: Any = None, *, effect: Callable[[sa.Connection], None] | None = None) -> None:
    """The job is done. `effect` writes what it does to the database, in the same transaction: all of it once, or nothing.

    Raises `JobLost`, with nothing written, if the job is no longer this worker's.
    """
    with store.writing(durable=True) as connection:
        _update(connection, job, {"state": "done", "result": checked_json(result, "the result"), "error": None, "ended_at": store.now()})
        if effect is not None:
            effect(connection)


def fail_job(store: Store, job: Job, error: str, *, for_good: bool = False) -> None:
    """The attempt went wrong: the job waits for another, or has failed for good after its last, or if another would be no better.

    Raises `JobLost`.
    """
    with store.writing() as connection:
        last = for_good or job.attempts >= job.most_attempts
        ended = {"state": "failed", "ended_at": store.now()} if last else {"state": "waiting"}
        _update(connection, job, {"error": checked(error[:MOST_NOTE], "the error", filled=False), **ended})


def release_job(store: Store, job: Job) -> None:
    """Give a job back undone, as its worker is told to end: it waits for the next, and this attempt does not count. Raises `JobLost`."""
    with store.writing() as connection:
        _update(connection, job, {"state": "waiting", "attempts": job.attempts - 1, "worker": None, "lease": None, "expires_at": None})


def cancel_job(store: Store, actor: Actor, job_id: str) -> None:
    """Let nobody do a job any more; its worker, if it has one, learns so at its next sign of life.

    For administrators, leads and the command line.
    """
    if actor is not None:
        require(actor, LEADING, "cancel jobs")
    jobs = schema.jobs
    with store.writing() as connection:
        _find(connection, job_id)
        unfinished = jobs.c.id == job_id, jobs.c.state.in_(("waiting", "running"))
        connection.execute(sa.update(jobs).where(*unfinished).values(state="cancelled", lease=None, ended_at=store.now()))
        write_audit(connection, store.now(), actor, "cancel job", ("job", job_id))


def list_jobs(store: Store, actor: Actor, *, limit: int = 100) -> list[Job]:
    """The newest first. For administrators, leads and the command line."""
    if actor is not None:
        require(actor, LEADING, "see jobs")
    with store.reading() as connection:
        rows = connection.execute(sa.select(schema.jobs).order_by(schema.jobs.c.created_at.desc(), schema.jobs.c.id).limit(limit)).mappings()
        return [_job_of(row) for row in rows]


def read_job(store: Store, job_id: str) -> Job:
    """How a job stands; raises `NotFound`."""
    with store.reading() as connection:
        return _find(connection, job_id)


def _give_up(connection: sa.Connection, now: datetime) -> None:
    """A job that has killed its worker as often as it may be tried has failed."""
    jobs = schema.jobs
    dead = jobs.c.state == "running", jobs.c.expires_at <= now, jobs.c.attempts >= jobs.c.most_attempts
    values = {"state": "failed", "error": "its worker died or fell silent", "lease": None, "ended_at": now}
    connection.execute(sa.update(jobs).where(*dead).values(**values))


def _update(connection: sa.Connection, job: Job, values: Mapping[str, Any]) -> None:
    jobs = schema.jobs
    mine = jobs.c.id == job.id, jobs.c.state == "running", jobs.c.lease == job.lease
    if not connection.execute(sa.update(jobs).where(*mine).values(**values)).rowcount:
        raise JobLost(f"the job {job.id} is no longer this worker's", expected="a sign of life in time", remedy="drop what was done for it")


def _find(connection: sa.Connection, job_id: str) -> Job:
    row = connection.execute(sa.select(schema.jobs).where(schema.jobs.c.id == job_id)).mappings().first()
    if row is None:
        raise NotFound(f"there is no job {job_id!r}", expected="the id of a job", remedy="look at the list of jobs")
    return _job_of(row)


def _job_of(row: sa.RowMapping) -> Job:
    return Job(**{name: row[name] for name in Job.__dataclass_fields__})
