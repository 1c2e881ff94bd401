"""Prompts, the consent under which they were given, and what models answered: the memory of the playground."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from instructloop.errors import AccessDenied, ConfigError, Conflict, DataError, NotFound
from instructloop.records import USE_CASES, PromptKind, Source
from instructloop.store.database import schema
from instructloop.store.database.audit import write_audit
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.roles import READING, Account, require_self
from instructloop.store.database.texts import checked, checked_json, checked_name, text_hash
from instructloop.store.database.turns import INTAKE, one_at_a_time

_BY_ID = sa.select(schema.prompts).where(schema.prompts.c.id == sa.bindparam("this_prompt"))


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What a person allowed, box by box, and the version of the notice that stood above the boxes."""

    store: bool
    train: bool
    version: str | None

    def __post_init__(self) -> None:
        if self.train and not self.store:
            raise ConfigError("consent to training without consent to storing", expected="both, or storing alone", remedy="ask for both")
        if self.train and not (self.version or "").strip():
            raise ConfigError("consent to nothing in particular", expected="the version of the notice that was shown", remedy="name it")


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What a model answered in the playground or through the API, or part of an answer that was stopped."""

    id: str
    prompt_id: str
    text: str | None
    """None once it is erased."""
    model: str | None
    sampling: Mapping[str, Any]
    finish_reason: str | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class StoredPrompt:
    """A prompt as the store keeps it."""

    id: str
    text: str | None
    """None once it is erased; id, time and hash stay."""
    text_hash: str
    user_id: str
    """By whom caps and splits count: an account, an end user behind an account, a user of an import."""
    account_id: str | None
    source: Source
    kind: PromptKind | None
    use_case: str | None
    may_store: bool
    may_train: bool
    consent: str | None
    """Version of the notice, or licence of the import."""
    content: Mapping[str, Any] | None
    """The parts of a few-shot prompt."""
    created_at: datetime
    erased_at: datetime | None
    generations: tuple[Generation, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NewPrompt:
    """A prompt that is to be stored."""

    text: str
    consent: Consent
    id: str | None = None
    """Chosen by a program that may send the prompt twice: the same id is the same prompt. Random unless given."""
    end_user: str | None = None
    """Who is behind the account, as the API's `user` says."""
    source: Source = "playground"
    kind: PromptKind | None = None
    use_case: str | None = None
    content: Mapping[str, Any] | None = None


def submit_prompt(store: Store, actor: Account, new: NewPrompt) -> StoredPrompt:
    """Store what a person asked. Raises `AccessDenied` without consent to storing."""
    with store.writing(durable=True) as connection:
        prompt_id = insert_prompt(connection, store.now(), actor, new)
        return find_prompt(connection, prompt_id)


def submit_prompts(store: Store, actor: Account, new: Sequence[NewPrompt]) -> list[str]:
    """Store several prompts of one person, all or none, and return their ids. Raises as `submit_prompt`."""
    with store.writing(durable=True) as connection:
        now = store.now()
        return [insert_prompt(connection, now, actor, one) for one in new]


def insert_prompt(connection: sa.Connection, at: datetime, actor: Account, new: NewPrompt) -> str:
    """The row of a new prompt and of its consent, in a transaction that is open; returns its id.

    A prompt that its author has sent before, under the same id, is left as it is; raises `Conflict` if the id stands for another.
    """
    if not new.consent.store:
        raise AccessDenied("a prompt without consent to storing", expected="consent", remedy="answer it without keeping it")
    if new.use_case is not None and new.use_case not in USE_CASES:
        raise DataError(f"the use-case {new.use_case!r}", expected=f"one of {', '.join(USE_CASES)}", remedy="correct it")
    text, prompt_id = checked(new.text, "the prompt"), new_id() if new.id is None else checked_name(new.id, "the id")
    if new.id is not None:
        one_at_a_time(connection, INTAKE)
        if _is_there(connection, prompt_id, actor, text):
            return prompt_id
    user = actor.id if new.end_user is None else f"{actor.id}/{checked_name(new.end_user, 'the user')}"
    row: dict[str, Any] = {"text": text, "text_hash": text_hash(text), "user_id": user, "account_id": actor.id, "created_at": at}
    row |= {"source": new.source, "kind": new.kind, "use_case": new.use_case, "consent": new.consent.version}
    row |= {"content": checked_json(new.content, "the prompt"), "may_store": True, "may_train": new.consent.train}
    connection.execute(sa.insert(schema.prompts), {"id": prompt_id, **row})
    insert_consent(connection, at, prompt_id, actor, new.consent)
    return prompt_id


def _is_there(connection: sa.Connection, prompt_id: str, actor: Account, text: str) -> bool:
    prompts = schema.prompts
    there = connection.execute(sa.select(prompts.c.account_id, prompts.c.text_hash).where(prompts.c.id == prompt_id)).first()
    if there is not None and (there.account_id, there.text_hash) != (actor.id, text_hash(text)):
        raise Conflict(f"the id {prompt_id!r} stands for another prompt", expected="every id for one prompt", remedy="choose another")
    return there is not None


def insert_consent(connection: sa.Connection, at: datetime, prompt_id: str, actor: Account | None, consent: Consent) -> None:
    """A further word on what may be done with a prompt; the words before stay."""
    row = {"may_store": consent.store, "may_train": consent.train, "version": consent.version, "account_id": actor.id if actor else None}
    connection.execute(sa.insert(schema.consents), {"id": new_id(), "prompt_id": prompt_id, "at": at, **row})


def record_generation(
    store: Store, actor: Account, prompt_id: str, *, text: str, model: str, sampling: Mapping[str, Any], finish_reason: str | None
) -> Generation:
    """Keep an answer beside one's own prompt; an empty one too, and one that was stopped (`finish_reason` None).

    Raises `NotFound` for a prompt that is not there or was erased meanwhile.
    """
    checked(text, "the answer", filled=False)
    with store.writing() as connection:
        prompt = find_prompt(connection, prompt_id, generations=False)
        require_self(actor, prompt.account_id, (), "add answers to other people's prompts")
        if prompt.erased_at is not None:
            raise NotFound(f"the prompt {prompt_id} was erased", expected="a prompt with its text", remedy="leave it out")
        now, answer_id = store.now(), new_id()
        row = {"text": text, "text_hash": text_hash(text), "source": "playground", "model_id": checked_name(model, "the model")}
        row |= {"sampling": checked_json(dict(sampling), "the sampling"), "finish_reason": finish_reason, "created_at": now}
        connection.execute(sa.insert(schema.answers).values(id=answer_id, prompt_id=prompt_id, **row))
    return Generation(id=answer_id, prompt_id=prompt_id, text=text, model=model, sampling=dict(sampling), finish_reason=finish_reason, created_at=now)


def read_prompt(store: Store, actor: Account, prompt_id: str) -> StoredPrompt:
    """One's own prompt, or anybody's for those who read everything. To others it is `NotFound`, as if it were not there."""
    with store.reading() as connection:
        prompt = find_prompt(connection, prompt_id)
    if prompt.account_id != actor.id and actor.role not in READING:
        raise _absent(prompt_id)
    return prompt


def history(store: Store, actor: Account, account_id: str, *, before: str | None = None, limit: int = 50) -> list[StoredPrompt]:
    """The prompts of an account with their answers, the newest first: one's own, or anybody's for those who read everything.

    `before` goes on behind the prompt of that id; raises `NotFound` if the account has none of that id.
    """
    require_self(actor, account_id, READING, "read other people's history")
    prompts = schema.prompts
    query = sa.select(prompts).where(prompts.c.account_id == account_id).order_by(prompts.c.created_at.desc(), prompts.c.id).limit(limit)
    with store.reading() as connection:
        if before is not None:
            last = find_prompt(connection, before, generations=False)
            if last.account_id != account_id:
                raise _absent(before)
            same_time = sa.and_(prompts.c.created_at == last.created_at, prompts.c.id > last.id)
            query = query.where(sa.or_(prompts.c.created_at < last.created_at, same_time))
        rows = connection.execute(query).mappings().all()
        generations = _generations(connection, [row["id"] for row in rows])
    return [_prompt_of(row, generations.get(row["id"], ())) for row in rows]


def withdraw(store: Store, actor: Account, prompt_id: str) -> StoredPrompt:
    """Take back the consent to training: the prompt stays in one's history, is never exported for training again, and its open
    tasks end. For its author and administrators."""
    with store.writing(durable=True) as connection:
        prompt = find_prompt(connection, prompt_id)
        require_self(actor, prompt.account_id, ("administrator",), "withdraw other people's prompts")
        for id_ in with_derived(connection, prompt_id):
            one = find_prompt(connection, id_, generations=False)
            if one.may_train:
                stop_training(connection, store.now(), actor, one)
        if prompt.may_train and actor.id != prompt.account_id:
            write_audit(connection, store.now(), actor, "withdraw prompt", ("prompt", prompt_id))
        return find_prompt(connection, prompt_id)


def stop_training(connection: sa.Connection, at: datetime, actor: Account, prompt: StoredPrompt) -> None:
    """The consent to training ends, and with it the tasks that nobody has finished."""
    insert_consent(connection, at, prompt.id, actor, Consent(store=prompt.may_store, train=False, version=prompt.consent))
    connection.execute(sa.update(schema.prompts).where(schema.prompts.c.id == prompt.id).values(may_train=False))
    retire_tasks(connection, prompt.id)


def with_derived(connection: sa.Connection, prompt_id: str) -> list[str]:
    """The prompt, and those that curation has made of it: what happens to it happens to them."""
    derived = sa.select(schema.prompts.c.id).where(schema.prompts.c.derived_from == prompt_id)
    return [prompt_id, *connection.execute(derived).scalars()]


def retire_tasks(connection: sa.Connection, prompt_id: str) -> None:
    """Nobody is given tasks about this prompt any more; what was said about it stays."""
    connection.execute(sa.update(schema.tasks).where(schema.tasks.c.prompt_id == prompt_id).values(state="retired"))


def find_prompt(connection: sa.Connection, prompt_id: str, *, generations: bool = True) -> StoredPrompt:
    """The prompt, read on a connection that is open; raises `NotFound`."""
    row = connection.execute(_BY_ID, {"this_prompt": prompt_id}).mappings().first()
    if row is None:
        raise _absent(prompt_id)
    return _prompt_of(row, _generations(connection, [prompt_id]).get(prompt_id, ()) if generations else ())


def _absent(prompt_id: str) -> NotFound:
    return NotFound(f"there is no prompt {prompt_id!r}", expected="the id of a prompt", remedy="look at your history")


def _generations(connection: sa.Connection, prompt_ids: list[str]) -> dict[str, tuple[Generation, ...]]:
    """What the playground answered, in order, by prompt; candidates for ranking are not shown to the author."""
    answers = schema.answers
    query = sa.select(answers).where(answers.c.prompt_id.in_(prompt_ids), answers.c.source == "playground")
    found: dict[str, tuple[Generation, ...]] = {}
    for row in connection.execute(query.order_by(answers.c.created_at, answers.c.id)).mappings():
        generation = Generation(
            id=row["id"], prompt_id=row["prompt_id"], text=row["text"], model=row["model_id"], sampling=row["sampling"] or {},
            finish_reason=row["finish_reason"], created_at=row["created_at"],
        )  # fmt: skip
        found[row["prompt_id"]] = (*found.get(row["prompt_id"], ()), generation)
    return found


def _prompt_of(row: sa.RowMapping, generations: tuple[Generation, ...]) -> StoredPrompt:
    values: dict[str, Any] = {name: row[name] for name in StoredPrompt.__dataclass_fields__ if name != "generations"}
    return StoredPrompt(**values, generations=generations)
