"""Tasks: what people are asked, and what becomes of a task that people will not do."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa

from instructloop.errors import ConfigError, DataError, NotFound
from instructloop.records import AnswerSet, PromptKind
from instructloop.store.database import schema
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.intake import take_answers, take_prompt
from instructloop.store.database.kinds import PROMPT_KINDS, Body, Kind, check_body
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.prompts import StoredPrompt, find_prompt
from instructloop.store.database.queues import LIMITS, Queue, find_queue
from instructloop.store.database.roles import LEADING, READING, Account, require
from instructloop.store.database.texts import checked, checked_name
from instructloop.store.database.turns import INTAKE, one_at_a_time

JUDGED: Mapping[Kind, tuple[int, int]] = {"ranking": (2, 9), "evaluation": (2, 2)}
"""Kinds that judge answers -> how many, at least and at most."""
CHUNK = 200
"""Answer sets written at a time."""
TICK = timedelta(microseconds=1)
"""By which tasks that are added together follow one another."""


_BY_ID = sa.select(schema.tasks.c.id).where(schema.tasks.c.id == sa.bindparam("this_task"))
_ANSWERS_BY_ID = sa.select(schema.answers.c.id).where(
    schema.answers.c.prompt_id == sa.bindparam("this_prompt"), schema.answers.c.id.in_(sa.bindparam("these", expanding=True))
)
_QUEUE_OF_TASK = (
    sa.select(schema.tasks.c.payload, schema.queues.c.kind)
    .join_from(schema.tasks, schema.queues)
    .where(schema.tasks.c.id == sa.bindparam("this_task"))
)


@dataclass(frozen=True, kw_only=True)
class NewTask:
    """A task that is to be added to a queue."""

    prompt_id: str | None = None
    """What it is about; None in queues that write prompts."""
    answers: tuple[str, ...] = ()
    """Ids of the answers to judge, which are in the store. For an evaluation: the baseline's, then the other."""
    prompt_kind: PromptKind = "plain"
    """Which kind of prompt is to be written."""
    about: str | None = None
    """What a prompt is to be written about, for instance the use-case that an application states."""
    gold: Mapping[str, Any] | None = None
    """The known answer, as a submission would give it: the task is mixed in among the others, for everybody."""
    position: int = 0
    """Lower comes first; among equals the older."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task as leads see it."""

    id: str
    queue_id: str
    prompt_id: str | None
    state: str
    """open, done (everybody asked has answered), review (skipped too often), retired."""
    overlap: int
    assigned: int
    submitted: int
    skipped: int
    is_gold: bool
    position: int
    created_at: datetime


def add_tasks(store: Store, actor: Actor, queue_id: str, tasks: Sequence[NewTask]) -> list[str]:
    """Add tasks to a queue, all or none, and return their ids. Adding the same question twice gives the same task.

    Tasks of one position are given out in the order in which they were added. For administrators, leads and the command line.
    Raises `NotFound` for a prompt or answer that is not there or was erased, `DataError` for a prompt that must not be used in
    training in a queue of that mode, or for what does not fit the kind of the queue.
    """
    _require_adding(actor)
    with store.writing() as connection:
        one_at_a_time(connection, INTAKE)
        queue, now = find_queue(connection, queue_id), store.now()
        ids = [_add_task(connection, now + place * TICK, queue, task) for place, task in enumerate(tasks)]
        write_audit(connection, now, actor, "add tasks", ("queue", queue_id), {"tasks": len(ids)})
    return ids


def add_answer_sets(store: Store, actor: Actor, queue_id: str, sets: Iterable[AnswerSet], *, licence: str | None = None) -> list[str]:
    """Ranking tasks of sampled answers, in their order; returns their ids. Prompts and answers that are not there yet are stored.

    Who gave an answer is kept and never shown to labelers. `licence` is the consent of prompts that come without. Written a few
    hundred at a time, so that people can go on working; adding the same sets again adds what is lacking.
    """
    _require_adding(actor)
    licence = None if licence is None else checked_name(licence, "the licence")
    ids, remaining = list[str](), iter(sets)
    while chunk := list(islice(remaining, CHUNK)):
        with store.writing() as connection:
            ids += _insert_answer_sets(connection, store.now() + len(ids) * TICK, queue_id, chunk, licence)
    with store.writing() as connection:
        _audit_answer_sets(connection, store.now(), actor, queue_id, len(ids))
    return ids


def insert_answer_sets(connection: sa.Connection, now: datetime, actor: Actor, queue_id: str, sets: Sequence[AnswerSet]) -> None:
    """What `add_answer_sets` does, in a transaction that is open: all of it or nothing."""
    _insert_answer_sets(connection, now, queue_id, sets, None)
    _audit_answer_sets(connection, now, actor, queue_id, len(sets))


def list_tasks(store: Store, actor: Account, queue_id: str, *, state: str | None = None, limit: int = 100, after: str = "") -> list[Task]:
    """Tasks of a queue in order of their ids, those after one id; `state` "review" gives the review list. Not for labelers."""
    require(actor, READING, "list tasks")
    tasks = schema.tasks
    query = sa.select(tasks).where(tasks.c.queue_id == queue_id, tasks.c.id > after).order_by(tasks.c.id).limit(limit)
    with store.reading() as connection:
        rows = connection.execute(query if state is None else query.where(tasks.c.state == state)).mappings().all()
    return [Task(**{name: row[name] for name in Task.__dataclass_fields__}) for row in rows]


def count_tasks(store: Store, actor: Account, queue_id: str) -> dict[str, int]:
    """State -> number of tasks of a queue."""
    require(actor, READING, "count tasks")
    tasks = schema.tasks
    query = sa.select(tasks.c.state, sa.func.count()).where(tasks.c.queue_id == queue_id).group_by(tasks.c.state)
    with store.reading() as connection:
        return dict(connection.execute(query).all())


def retire_task(store: Store, actor: Account, task_id: str) -> None:
    """Give a task to nobody any more; what was said stays. For administrators and leads."""
    _change(store, actor, task_id, "retire task", {"state": "retired"})


def requeue_task(store: Store, actor: Account, task_id: str, *, overlap: int | None = None) -> None:
    """Offer a task again, with its skips forgotten, to those who have not answered or skipped it; `overlap` asks more people.

    For administrators and leads. Raises `NotFound` if its prompt was erased, `ConfigError` for fewer people than are on it already.
    """
    _change(store, actor, task_id, "requeue task", {"state": "open", "skipped": 0} | ({} if overlap is None else {"overlap": overlap}))


def set_known_answer(store: Store, actor: Account, task_id: str, answer: Mapping[str, Any]) -> None:
    """Make a task gold: from now on it is mixed in among the others, for everybody who has not met it, and measures them by `answer`.

    What was said of it before stays an ordinary label. A gold task can be given another answer. For administrators and leads. Raises
    `NotFound` if there is no such task or its prompt was erased, `DataError` for an answer that does not fit its kind.
    """
    require(actor, LEADING, "set known answers")
    with store.writing() as connection:
        row = connection.execute(_QUEUE_OF_TASK, {"this_task": task_id}).mappings().first()
        if row is None:
            raise NotFound(f"there is no task {task_id!r}", expected="the id of a task", remedy="look at the list of tasks")
        payload: Body = row["payload"] or {}
        gold = check_body(row["kind"], answer, answers=payload.get("answers", ()), prompt_kind=payload.get("prompt_kind", "plain"))
        change_task(connection, store.now(), actor, task_id, "set known answer", {"state": "open", "skipped": 0, "is_gold": True, "gold": gold})


def _require_adding(actor: Actor) -> None:
    if actor is not None:
        require(actor, LEADING, "add tasks")


def change_task(connection: sa.Connection, now: datetime, actor: Account, task_id: str, act: str, values: Mapping[str, Any]) -> None:
    """Change a task in a transaction that is open; raises `NotFound`, and `ConfigError` for an overlap below who is on it already."""
    tasks = schema.tasks
    row = connection.execute(sa.select(tasks).where(tasks.c.id == task_id).with_for_update()).mappings().first()
    if row is None:
        raise NotFound(f"there is no task {task_id!r}", expected="the id of a task", remedy="look at the list of tasks")
    if values["state"] == "open":
        if row["prompt_id"] is not None:
            _unerased(connection, row["prompt_id"])
        _, most = LIMITS["overlap"]
        if not row["assigned"] <= values.get("overlap", row["assigned"]) <= most:
            expected = f"no fewer than the {row['assigned']} who are on it, and at most {most:,}"
            raise ConfigError(f"an overlap of {values['overlap']:,}", expected=expected, remedy="correct it")
    connection.execute(sa.update(tasks).where(tasks.c.id == task_id).values(**values))
    write_audit(connection, now, actor, act, ("task", task_id), {name: value for name, value in values.items() if name != "gold"})


def _change(store: Store, actor: Account, task_id: str, act: str, values: dict[str, Any]) -> None:
    require(actor, LEADING, f"{act}s")
    with store.writing() as connection:
        change_task(connection, store.now(), actor, task_id, act, values)


def _add_task(connection: sa.Connection, now: datetime, queue: Queue, new: NewTask) -> str:
    payload, author = _payload(queue.kind, new), None
    if queue.kind != "write_prompt":
        author = _author(connection, queue, new)
        if new.answers:
            _check_answers(connection, queue.kind, new)
    gold = None if new.gold is None else check_body(queue.kind, new.gold, answers=new.answers, prompt_kind=new.prompt_kind)
    task_id = _task_id(queue, new)
    if connection.execute(_BY_ID, {"this_task": task_id}).first() is None:
        row: Body = {"queue_id": queue.id, "prompt_id": new.prompt_id, "author": author, "payload": payload, "state": "open", "gold": gold}
        row |= {"overlap": queue.settings.overlap, "is_gold": gold is not None, "position": new.position, "created_at": now}
        connection.execute(sa.insert(schema.tasks), {"id": task_id, **row})
    return task_id


def _insert_answer_sets(connection: sa.Connection, now: datetime, queue_id: str, sets: Sequence[AnswerSet], licence: str | None) -> list[str]:
    one_at_a_time(connection, INTAKE)
    queue, ids = find_queue(connection, queue_id), list[str]()
    for place, one in enumerate(sets):
        take_prompt(connection, now, one.prompt, licence, curated=True)
        take_answers(connection, now, one.prompt.id, one.completions, "sample")
        answers = tuple(answer.id for answer in one.completions)
        ids.append(_add_task(connection, now + place * TICK, queue, NewTask(prompt_id=one.prompt.id, answers=answers)))
    return ids


def _audit_answer_sets(connection: sa.Connection, now: datetime, actor: Actor, queue_id: str, number: int) -> None:
    write_audit(connection, now, actor, "add answer sets", ("queue", queue_id), {"tasks": number})


def _payload(kind: Kind, new: NewTask) -> Body:
    if (kind == "write_prompt") != (new.prompt_id is None):
        raise DataError(
            f"a task about the prompt {new.prompt_id!r} in a queue of kind {kind!r}",
            expected="a prompt, but for queues that write prompts",
            remedy="correct the task",
        )
    least, most = JUDGED.get(kind, (0, 0))
    if not least <= len(new.answers) <= most or len(set(new.answers)) < len(new.answers):
        raise DataError(
            f"a task of kind {kind!r} with the answers {list(new.answers)}", expected=f"{least} to {most}, each once", remedy="correct it"
        )
    if kind == "write_prompt":
        if new.prompt_kind not in PROMPT_KINDS:
            raise DataError(f"the kind of prompt {new.prompt_kind!r}", expected=f"one of {', '.join(PROMPT_KINDS)}", remedy="correct it")
        return {"prompt_kind": new.prompt_kind, "about": None if new.about is None else checked(new.about, "what to write about")}
    return {"answers": list(new.answers)}


def _author(connection: sa.Connection, queue: Queue, new: NewTask) -> str | None:
    """Whom the task must not be given to. Raises unless the prompt may be used for what the queue is for."""
    prompt = _unerased(connection, new.prompt_id or "")
    if queue.mode == "training" and not prompt.may_train:
        raise DataError(
            f"the prompt {prompt.id!r} has no consent to training", expected="prompts with consent in a training queue", remedy="leave it out"
        )
    return prompt.account_id


def _unerased(connection: sa.Connection, prompt_id: str) -> StoredPrompt:
    prompt = find_prompt(connection, prompt_id, generations=False)
    if prompt.erased_at is not None:
        raise NotFound(f"the prompt {prompt_id!r} was erased", expected="a prompt with its text", remedy="leave it out")
    return prompt


def _check_answers(connection: sa.Connection, kind: Kind, new: NewTask) -> None:
    there = {row.id for row in connection.execute(_ANSWERS_BY_ID, {"this_prompt": new.prompt_id, "these": new.answers})}
    if missing := [answer for answer in new.answers if answer not in there]:
        raise NotFound(f"there is no answer {missing[0]!r} to {new.prompt_id!r}", expected=f"answers of the store to {kind}", remedy="store it first")


def _task_id(queue: Queue, new: NewTask) -> str:
    """The same question in the same queue is the same task; prompts to be written are all different."""
    if new.prompt_id is None:
        return new_id()
    return hashlib.sha256("\0".join((queue.id, new.prompt_id, *sorted(new.answers))).encode()).hexdigest()[:24]
