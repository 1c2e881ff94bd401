"""Thumbs and comparisons: what playground users think of the answers to their own prompts, apart from what labelers say."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from instructloop.errors import DataError
from instructloop.store.database import schema
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.prompts import find_prompt
from instructloop.store.database.roles import Account, require_self


@dataclass(frozen=True, kw_only=True)
class Reaction:
    """One thumb or comparison; whoever changes their mind gives another."""

    kind: str
    """thumb or comparison."""
    body: Mapping[str, Any]
    at: datetime


def react(store: Store, actor: Account, prompt_id: str, kind: str, body: Mapping[str, Any]) -> None:
    """A thumb or a comparison on answers to one's own prompt.

    `kind` "thumb": {"answer": id, "up": bool}; "comparison": {"better": id or None for neither, "answers": [id, id]}.
    """
    with store.writing() as connection:
        prompt = find_prompt(connection, prompt_id)
        require_self(actor, prompt.account_id, (), "judge answers to other people's prompts")
        _check_reaction(kind, body, {generation.id for generation in prompt.generations})
        connection.execute(
            sa.insert(schema.reactions).values(id=new_id(), prompt_id=prompt_id, account_id=actor.id, kind=kind, body=dict(body), at=store.now())
        )


def own_reactions(store: Store, actor: Account, prompt_ids: Collection[str]) -> dict[str, tuple[Reaction, ...]]:
    """Prompt -> what this person has said of the answers to it, the oldest first."""
    reactions = schema.reactions
    mine = reactions.c.account_id == actor.id, reactions.c.prompt_id.in_(prompt_ids)
    found: dict[str, tuple[Reaction, ...]] = {}
    with store.reading() as connection:
        for row in connection.execute(sa.select(reactions).where(*mine).order_by(reactions.c.at, reactions.c.id)).mappings():
            said = Reaction(kind=row["kind"], body=row["body"], at=row["at"])
            found[row["prompt_id"]] = (*found.get(row["prompt_id"], ()), said)
    return found


def _check_reaction(kind: str, body: Mapping[str, Any], answers: set[str]) -> None:
    keys, compared = set(body), cast(Sequence[Any], body.get("answers") or [])
    if kind == "thumb" and keys == {"answer", "up"} and body["answer"] in answers and isinstance(body["up"], bool):
        return
    if (
        kind == "comparison"
        and keys == {"better", "answers"}
        and len(compared) == 2
        and set(compared) <= answers
        and body["better"] in (None, *compared)
    ):
        return
    raise DataError(
        f"a {kind!r} that says {dict(body)}",
        expected='"thumb" {answer, up} or "comparison" {better, answers}, of answers to this prompt',
        remedy="correct it",
    )
