"""Screening of candidates, after the paper's B.1: four tests whose cut-offs are soft, since people decide.

speech      do they flag what researchers flag as sensitive?      75 % agreement
ranking     do they rank as researchers rank?                     75 % agreement
writing     what do researchers think of their demonstrations?    a mean of 6 of 7
themselves  on which topics are they at ease to judge speech?     no cut-off

The tests are ordinary queues, so that candidates and researchers answer them on the pages that labelers work on. Their mode is
"evaluation": what is said there never trains.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from instructloop.errors import ConfigError, Conflict, DataError, NotFound
from instructloop.store.database import schema
from instructloop.store.database.audit import write_audit
from instructloop.store.database.judgements import is_latest
from instructloop.store.database.leasing import Query
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.queues import find_queue
from instructloop.store.database.roles import LABELING, LEADING, READING, Account, require
from instructloop.store.database.texts import MOST_NAME, MOST_NOTE, checked, checked_name
from instructloop.store.database.turns import one_at_a_time

TOPICS = (
    "age", "body", "children", "crime", "disability", "drugs", "ethnicity", "gender", "health", "nationality", "politics", "religion",
    "self_harm", "sexuality", "social_class", "violence",
)  # fmt: skip
"""What a self-assessment asks about."""
SENSITIVE = ("sexual_content", "violent_content", "encourages_harm", "denigrates_protected_class", "harmful_advice")
"""Flags any of which says that an answer is sensitive."""
SENSITIVE_MARK = "sensitive"
"""The mark that says so of a prompt."""


@dataclass(frozen=True, kw_only=True)
class Screening:
    """Which queues hold the tests; None where a test is left out."""

    id: str
    name: str
    speech_queue: str | None
    ranking_queue: str | None
    writing_queue: str | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class SelfAssessment:
    """What somebody said of themselves last."""

    topics: tuple[str, ...]
    note: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class SpeechWord:
    """Whether one person calls one text sensitive."""

    prompt_id: str
    unit: str
    """An answer, or the prompt itself."""
    person: str
    sensitive: bool


@dataclass(frozen=True, kw_only=True)
class Written:
    """A demonstration of a candidate, to be rated without knowing whose it is."""

    submission_id: str
    prompt: str
    text: str


def create_screening(store: Store, actor: Account, *, name: str, speech: str | None, ranking: str | None, writing: str | None) -> Screening:
    """Name the queues of the tests. For administrators and leads.

    Raises `ConfigError` unless there is one, each is of a kind that fits, and of the mode "evaluation".
    """
    require(actor, LEADING, "screen candidates")
    queues = {"speech_queue": speech, "ranking_queue": ranking, "writing_queue": writing}
    with store.writing() as connection:
        for column, queue_id in queues.items():
            if queue_id is not None:
                _check_queue(connection, column, queue_id)
        if not any(queues.values()):
            raise ConfigError("no queue is named", expected="a queue for one test or more", remedy="choose one")
        new = Screening(id=new_id(), name=checked_name(name, "the screening's name"), created_at=store.now(), **queues)
        one_at_a_time(connection, "screening", new.name)
        if connection.execute(sa.select(schema.screenings.c.id).where(schema.screenings.c.name == new.name)).first():
            raise Conflict(f"there is a screening {new.name!r}", expected="a name that is free", remedy="choose another")
        connection.execute(sa.insert(schema.screenings).values(**asdict(new)))
        write_audit(connection, new.created_at, actor, "create screening", ("screening", new.id), {"name": new.name, **queues})
    return new


def list_screenings(store: Store, actor: Account) -> list[Screening]:
    """The newest first. For those who read everything."""
    require(actor, READING, "see screenings")
    table = schema.screenings
    with store.reading() as connection:
        return [Screening(**row) for row in connection.execute(sa.select(table).order_by(table.c.created_at.desc(), table.c.id)).mappings()]


def assess_oneself(store: Store, actor: Account, topics: Collection[str], note: str) -> None:
    """Say on which topics one is at ease to recognise sensitive speech. Raises `DataError` for a topic that is not known."""
    require(actor, LABELING, "assess themselves")
    if unknown := sorted(set(topics) - set(TOPICS)):
        raise DataError(f"the topic {unknown[0]!r:.80}", expected=f"some of {', '.join(TOPICS)}", remedy="correct it")
    row = {"topics": [topic for topic in TOPICS if topic in topics], "note": checked(note, "the note", most=MOST_NOTE, filled=False)}
    with store.writing() as connection:
        connection.execute(sa.insert(schema.self_assessments).values(id=new_id(), account_id=actor.id, at=store.now(), **row))


def self_assessment(store: Store, actor: Account) -> SelfAssessment | None:
    """One's own, the latest; None if there is none."""
    return _assessments(store, actor.id).get(actor.id)


def self_assessments(store: Store, actor: Account) -> dict[str, SelfAssessment]:
    """Person -> the latest. For those who read everything."""
    require(actor, READING, "read self-assessments")
    return _assessments(store, None)


def speech_words(store: Store, actor: Account, queue_id: str) -> list[SpeechWord]:
    """Who called which text of a queue sensitive: answers by their flags, prompts by their mark. For those who read everything."""
    require(actor, READING, "read everybody's labels")
    submissions, tasks = schema.submissions, schema.tasks
    query = (
        sa.select(submissions.c.account_id, submissions.c.body, tasks.c.prompt_id)
        .join_from(submissions, tasks, submissions.c.task_id == tasks.c.id)
        .where(tasks.c.queue_id == queue_id, tasks.c.prompt_id.is_not(None), is_latest(), submissions.c.purpose != "repeat")
        .order_by(submissions.c.at, submissions.c.id)
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [
        SpeechWord(prompt_id=prompt_id, unit=unit, person=person, sensitive=sensitive)
        for person, body, prompt_id in rows
        for unit, sensitive in _sensitive_in(body)
    ]


def demonstration_to_rate(store: Store, actor: Account, queue_id: str) -> Written | None:
    """The oldest demonstration of a queue that this researcher has neither rated nor written; None if there is none."""
    require(actor, READING, "rate demonstrations")
    submissions, ratings, prompts = schema.submissions, schema.demonstration_ratings, schema.prompts
    mine = sa.exists().where(ratings.c.submission_id == submissions.c.id, ratings.c.account_id == actor.id)
    query = (
        _demonstrations(queue_id, submissions.c.id, submissions.c.body, sa.func.coalesce(prompts.c.curated_text, prompts.c.text).label("prompt"))
        .where(submissions.c.account_id != actor.id, schema.accounts.c.role == "labeler", prompts.c.erased_at.is_(None), ~mine)
        .order_by(submissions.c.at, submissions.c.id)
        .limit(1)
    )
    with store.reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else Written(submission_id=row["id"], prompt=row["prompt"], text=row["body"]["text"])


def rate_demonstration(store: Store, actor: Account, submission_id: str, likert: int) -> None:
    """What a researcher thinks of a demonstration, 1 to 7, once.

    Raises `NotFound` for what is no demonstration of somebody else's, `DataError`, and `Conflict` for a second time.
    """
    require(actor, READING, "rate demonstrations")
    if not 1 <= likert <= 7:
        raise DataError(f"the rating is {likert}", expected="1 (worst) to 7 (best)", remedy="correct it")
    submissions, tasks, ratings = schema.submissions, schema.tasks, schema.demonstration_ratings
    others = submissions.c.id == checked(submission_id, "the id", most=MOST_NAME), submissions.c.account_id != actor.id
    query = sa.select(submissions.c.id).join(tasks, tasks.c.id == submissions.c.task_id).join(schema.queues).where(*others)
    with store.writing() as connection:
        if connection.execute(query.where(schema.queues.c.kind == "demonstration")).first() is None:
            raise NotFound(f"there is no submission {submission_id!r}", expected="a demonstration", remedy="take the next one")
        mine = ratings.c.submission_id == submission_id, ratings.c.account_id == actor.id
        one_at_a_time(connection, "rating", submission_id, actor.id)
        if connection.execute(sa.select(ratings.c.id).where(*mine)).first():
            raise Conflict("you have rated this demonstration", expected="one rating by each researcher", remedy="take the next one")
        row = {"submission_id": submission_id, "account_id": actor.id, "likert": likert, "at": store.now()}
        connection.execute(sa.insert(ratings).values(id=new_id(), **row))


def ratings_of(store: Store, actor: Account, queue_id: str) -> list[tuple[str, str, int]]:
    """(candidate, submission, rating) of everything rated in a queue. For those who read everything."""
    require(actor, READING, "read ratings of demonstrations")
    submissions, ratings = schema.submissions, schema.demonstration_ratings
    query = _demonstrations(queue_id, submissions.c.account_id, submissions.c.id, ratings.c.likert)
    query = query.join(ratings, ratings.c.submission_id == submissions.c.id).order_by(submissions.c.at, submissions.c.id)
    with store.reading() as connection:
        return [(person, submission, likert) for person, submission, likert in connection.execute(query)]


def _demonstrations(queue_id: str, *columns: Any) -> Query:
    submissions, tasks = schema.submissions, schema.tasks
    return (
        cast(Query, sa.select(*columns))
        .select_from(submissions)
        .join(tasks, submissions.c.task_id == tasks.c.id)
        .join(schema.accounts, schema.accounts.c.id == submissions.c.account_id)
        .outerjoin(schema.prompts, schema.prompts.c.id == tasks.c.prompt_id)
        .where(tasks.c.queue_id == queue_id, is_latest())
    )


def _assessments(store: Store, account_id: str | None) -> dict[str, SelfAssessment]:
    table = schema.self_assessments
    query = sa.select(table).order_by(table.c.at, table.c.id)
    if account_id is not None:
        query = query.where(table.c.account_id == account_id)
    with store.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return {row["account_id"]: SelfAssessment(topics=tuple(row["topics"]), note=row["note"], at=row["at"]) for row in rows}


def _sensitive_in(body: Mapping[str, Any]) -> list[tuple[str, bool]]:
    said = [(answer, bool(set(rating["flags"]) & set(SENSITIVE))) for answer, rating in body.get("ratings", {}).items()]
    return [*said, ("prompt", SENSITIVE_MARK in body["marks"])] if "marks" in body else said


def _check_queue(connection: sa.Connection, column: str, queue_id: str) -> None:
    queue = find_queue(connection, queue_id)
    if queue.kind not in FITTING[column] or queue.mode != "evaluation":
        raise ConfigError(
            f"the queue {queue.name!r} of kind {queue.kind} and mode {queue.mode} as {column.replace('_', ' ')}",
            expected=f"the kind {' or '.join(FITTING[column])} and the mode evaluation, whose labels never train",
            remedy="make such a queue",
        )


FITTING: Mapping[str, tuple[str, ...]] = {
    "speech_queue": ("ranking", "evaluation", "prompt_metadata"),
    "ranking_queue": ("ranking", "evaluation"),
    "writing_queue": ("demonstration",),
}
"""Test -> the kinds of queues that can hold it."""
