"""What comes in from outside: prompts and answers of files, each with its consent, no id standing for two things.

A record's own `consent` counts; where it has none, the licence that the importer states; where there is neither, the prompt
is stored without consent to training.

Prompts that left the store for curation come back: with another text where personal data was masked, and in parts, `ID/shot-N`,
where a few-shot prompt was expanded. Both stay tied to their author, who may erase them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from instructloop.errors import DataError, NotFound
from instructloop.records import Completion, Prompt
from instructloop.store.conversion import IMPORTED
from instructloop.store.database import schema
from instructloop.store.database.prompts import Consent, insert_consent
from instructloop.store.database.texts import checked, checked_json, text_hash

MOST_ID = 500
"""Characters of an id that somebody else has chosen."""
PART = "/shot-"
"""What stands between the id of a few-shot prompt and the number of a part of it."""


def take_prompt(connection: sa.Connection, at: datetime, prompt: Prompt, licence: str | None, *, curated: bool = False) -> bool:
    """Store a prompt unless it is there; True if it was new. With `curated`, another text of the same user is what curation made of it.

    Raises `DataError` if its id stands for something else, `NotFound` if its author has erased it.
    """
    there, hashed = check_prompt(connection, prompt, curated=curated)
    if there is None:
        _insert(connection, at, prompt, hashed, licence)
    elif curated and prompt.text not in (there["text"], there["curated_text"]):
        connection.execute(sa.update(schema.prompts).where(schema.prompts.c.id == prompt.id).values(curated_text=prompt.text))
    return there is None


def check_prompt(connection: sa.Connection, prompt: Prompt, *, curated: bool = False) -> tuple[sa.RowMapping | None, str]:
    """The row of a prompt if it is there, and the hash of its text; raises what `take_prompt` raises, and writes nothing."""
    hashed = text_hash(checked(prompt.text, f"the prompt {prompt.id!r}"))
    for id_ in (prompt.id, prompt.user_id):
        checked(id_, "the id", most=MOST_ID)
    there = connection.execute(sa.select(schema.prompts).where(schema.prompts.c.id == prompt.id)).mappings().first()
    if there is None:
        return None, hashed
    if there["erased_at"] is not None:
        raise _erased(prompt.id)
    known = hashed == there["text_hash"] or prompt.text == there["curated_text"]
    if not known and (not curated or there["user_id"] != prompt.user_id or there["curated_text"] is not None):
        raise DataError(
            f"the id {prompt.id!r} stands for another prompt in the store", expected="every id for one prompt", remedy="rename it, or its file"
        )
    return there, hashed


def take_answer(connection: sa.Connection, at: datetime, answer: Completion, source: str) -> None:
    """Store an answer of a model to a prompt that is there, unless the answer is there too. Raises as `take_answers`."""
    take_answers(connection, at, answer.prompt_id, [answer], source)


def take_answers(connection: sa.Connection, at: datetime, prompt_id: str, given: Sequence[Completion], source: str) -> None:
    """Store answers of models to a prompt that is there, but for those that are there too.

    Raises `DataError` if an id stands for another answer to the prompt.
    """
    answers = schema.answers
    ours = sa.select(answers.c.id, answers.c.text_hash).where(answers.c.prompt_id == prompt_id, answers.c.id.in_([answer.id for answer in given]))
    there: dict[str, str] = {row.id: row.text_hash for row in connection.execute(ours)}
    new: list[dict[str, Any]] = []
    for answer in given:
        hashed = text_hash(checked(answer.text, f"the answer {answer.id!r}", filled=False))
        if answer.id not in there:
            new.append(
                {
                    "id": checked(answer.id, "the id", most=MOST_ID),
                    "prompt_id": prompt_id,
                    "source": source,
                    "created_at": at,
                    **_answer_row(answer, hashed),
                }
            )
        if there.setdefault(answer.id, hashed) != hashed:
            raise DataError(
                f"the id {answer.id!r} stands for another answer to {prompt_id!r}", expected="every id for one answer", remedy="rename it"
            )
    if new:
        connection.execute(sa.insert(answers), new)


def _answer_row(answer: Completion, hashed: str) -> dict[str, Any]:
    kept = answer.to_json()
    row = {"text": answer.text, "text_hash": hashed, "model_id": answer.model_id, "finish_reason": answer.finish_reason}
    return row | {name: checked_json(kept[name], name) for name in ("token_ids", "sampling", "provenance")}


def _insert(connection: sa.Connection, at: datetime, prompt: Prompt, hashed: str, licence: str | None) -> None:
    version = licence if prompt.consent in (None, IMPORTED) else prompt.consent
    row: dict[str, Any] = {"text": prompt.text, "text_hash": hashed, "user_id": prompt.user_id, "source": prompt.source}
    row |= {"kind": prompt.kind, "use_case": prompt.use_case, "may_store": True, "may_train": version is not None, "consent": version}
    row |= {"provenance": prompt.to_json()["provenance"], "created_at": at, **_origin(connection, prompt)}
    connection.execute(sa.insert(schema.prompts).values(id=prompt.id, **row))
    insert_consent(connection, at, prompt.id, None, Consent(store=True, train=version is not None, version=version))


def _origin(connection: sa.Connection, prompt: Prompt) -> dict[str, str | None]:
    """Whose the prompt is, if the store knows them, and of which prompt it is a part."""
    prompts, accounts = schema.prompts, schema.accounts
    whole, part, _ = prompt.id.rpartition(PART)
    parent = connection.execute(sa.select(prompts).where(prompts.c.id == whole)).mappings().first() if part else None
    if parent is not None and parent["erased_at"] is not None:
        raise _erased(whole)
    if parent is not None:
        return {"derived_from": whole, "account_id": parent["account_id"]}
    return {"account_id": connection.execute(sa.select(accounts.c.id).where(accounts.c.id == prompt.user_id)).scalar_one_or_none()}


def _erased(prompt_id: str) -> NotFound:
    return NotFound(f"the prompt {prompt_id!r} was erased", expected="a prompt that may be kept", remedy="leave it out")
