"""Deletion: the text of a prompt goes, and with it every text made from it. Ids, times and hashes stay, and so do judgements.

Old snapshots are not touched here: `redaction.py` writes them anew.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.opening import Store
from instructloop.store.database.prompts import Consent, find_prompt, insert_consent, retire_tasks, with_derived
from instructloop.store.database.roles import require_self

TEXTS = frozenset({"text", "prompt", "better", "note", "instruction", "query", "response", "reason"})
"""Keys of drafts, submissions and labels under which people's words stand."""


def erase_prompt(store: Store, actor: Actor, prompt_id: str) -> None:
    """Erase the text of a prompt and of the answers, drafts, submissions and demonstrations made from it.

    For its author and administrators. Nothing happens to a prompt that is erased already.
    """
    with store.writing(durable=True) as connection:
        prompt = find_prompt(connection, prompt_id, generations=False)
        if actor is not None:
            require_self(actor, prompt.account_id, ("administrator",), "erase other people's prompts")
        if prompt.erased_at is None:
            _erase(connection, store.now(), actor, prompt_id)
    _forget_the_log(store)


def erase_prompts_of(store: Store, actor: Actor, user_id: str) -> int:
    """Erase every prompt of one user (an account's id, an end user, a user of an import); returns how many there were."""
    prompts = schema.prompts
    whole = _by(user_id), prompts.c.erased_at.is_(None), prompts.c.derived_from.is_(None)
    with store.writing(durable=True) as connection:
        rows = connection.execute(sa.select(prompts.c.id, prompts.c.account_id).where(*whole)).all()
        for row in rows:
            if actor is not None:
                require_self(actor, row.account_id, ("administrator",), "erase other people's prompts")
            _erase(connection, store.now(), actor, row.id)
    _forget_the_log(store)
    return len(rows)


def scrubbed(value: Any) -> Any:
    """A body with every text of people taken out, its shape and its judgements left."""
    if isinstance(value, Mapping):
        items = cast(Mapping[str, Any], value).items()
        return {key: None if key in TEXTS and isinstance(item, str) else scrubbed(item) for key, item in items}
    if isinstance(value, list):
        return [scrubbed(item) for item in cast(Sequence[Any], value)]
    return value


def _by(user_id: str) -> sa.ColumnElement[bool]:
    """An account's prompts are also those of the end users behind it."""
    return sa.or_(schema.prompts.c.user_id == user_id, schema.prompts.c.account_id == user_id)


def _erase(connection: sa.Connection, now: datetime, actor: Actor, prompt_id: str) -> None:
    for one in with_derived(connection, prompt_id):
        _erase_one(connection, now, actor, one)
    write_audit(connection, now, actor, "erase prompt", ("prompt", prompt_id))


def _erase_one(connection: sa.Connection, now: datetime, actor: Actor, prompt_id: str) -> None:
    insert_consent(connection, now, prompt_id, actor, Consent(store=False, train=False, version=None))
    gone = {"text": None, "curated_text": None, "content": None, "may_store": False, "may_train": False, "erased_at": now}
    connection.execute(sa.update(schema.prompts).where(schema.prompts.c.id == prompt_id).values(**gone))
    of_prompt = schema.answers.c.prompt_id == prompt_id
    connection.execute(sa.update(schema.answers).where(of_prompt).values(text=None, token_ids=None, erased_at=now))
    retire_tasks(connection, prompt_id)
    _scrub_work(connection, prompt_id)


def _scrub_work(connection: sa.Connection, prompt_id: str) -> None:
    """Everything that people wrote about the prompt, and, if a labeler wrote the prompt, what they wrote it in; what leads wrote too."""
    labels, submissions, leases, drafts, checks = schema.labels, schema.submissions, schema.leases, schema.drafts, schema.spot_checks
    tasks = sa.select(schema.tasks.c.id).where(schema.tasks.c.prompt_id == prompt_id)
    written_in = sa.select(labels.c.submission_id).where(labels.c.prompt_id == prompt_id, labels.c.submission_id.is_not(None))
    worked = sa.or_(submissions.c.task_id.in_(tasks), submissions.c.id.in_(written_in))
    leased = sa.or_(leases.c.task_id.in_(tasks), leases.c.id.in_(sa.select(submissions.c.lease_id).where(worked)))
    _scrub(connection, drafts.c.body, drafts.c.lease_id.in_(sa.select(leases.c.id).where(leased)), drafts.c.lease_id)
    _scrub(connection, submissions.c.body, worked, submissions.c.id)
    _scrub(connection, labels.c.body, labels.c.prompt_id == prompt_id, labels.c.id)
    _scrub(connection, schema.tasks.c.gold, sa.and_(schema.tasks.c.prompt_id == prompt_id, schema.tasks.c.is_gold), schema.tasks.c.id)
    connection.execute(sa.update(leases).where(leased).values(reason=None))
    connection.execute(sa.update(checks).where(checks.c.submission_id.in_(sa.select(submissions.c.id).where(worked))).values(note=""))


def _scrub(connection: sa.Connection, words: sa.Column[Any], which: sa.ColumnElement[bool], key: sa.Column[Any]) -> None:
    for row in connection.execute(sa.select(key, words).where(which)).all():
        connection.execute(sa.update(words.table).where(key == row[0]).values({words: scrubbed(row[1])}))


def _forget_the_log(store: Store) -> None:
    """SQLite keeps the pages as they were in its write-ahead log until that is written back: do it now, or as soon as nobody reads."""
    if store.engine.dialect.name == "sqlite":
        with closing(store.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
