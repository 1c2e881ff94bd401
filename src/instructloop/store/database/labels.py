"""Labels as records: what training reads. The current state is a query: what was revised is left out, and so is what was erased.

For training: prompts whose authors allow it, in training queues, by labelers who are not held out, from ordinary tasks only: gold and
repeated ones measure people, and would count twice. Prompts that held-out labelers have written do not train either.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from instructloop.reading import build
from instructloop.records import Completion, Demonstration, Prompt, Provenance, Ranking, Rating
from instructloop.store.database import schema
from instructloop.store.database.kinds import Body
from instructloop.store.database.leasing import Query
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import READING, Account, require

IMPORTED = "import"
"""Purpose of labels that came in a file."""
CHUNK = 500


@dataclass(frozen=True)
class Labeled:
    """A record, and the label that says it; prompts that were only asked have none."""

    record: Any
    label_id: str | None


def training_prompts(store: Store, actor: Account | None) -> Iterator[Labeled]:
    """Every prompt that may train, as `Prompt`, the oldest first. For those who read everything."""
    return _prompts(store, actor, schema.prompts.c.may_train)


def prompts_to_curate(store: Store, actor: Account | None) -> Iterator[Labeled]:
    """The same and, without consent in the record, those that may not train: curation says how many they are, and lets none through."""
    return _prompts(store, actor, sa.true())


def training_demonstrations(store: Store, actor: Account | None) -> Iterator[Labeled]:
    """Every demonstration that may train, as `Demonstration`, the oldest first; better answers to rankings are among them."""
    for row in _training(store, actor, "demonstration"):
        prompt, provenance = prompt_record(_of_prompt(row)), _provenance(row)
        record = Demonstration(prompt=prompt, text=row["body"]["text"], labeler_id=row["labeler_id"], provenance=provenance)
        yield Labeled(record, row["id"])


def training_rankings(store: Store, actor: Account | None) -> Iterator[Labeled]:
    """Every ranking that may train, as `Ranking`, the oldest first; the answers stand in the order of the task."""
    for row in _training(store, actor, "ranking"):
        groups = tuple(tuple(group) for group in row["body"]["groups"])
        completions = tuple(row["answers"][id_] for id_ in row["body"]["answers"])
        prompt, provenance = prompt_record(_of_prompt(row)), _provenance(row)
        record = Ranking(prompt=prompt, completions=completions, groups=groups, labeler_id=row["labeler_id"], provenance=provenance)
        yield Labeled(record, row["id"])


def training_ratings(store: Store, actor: Account | None) -> Iterator[Labeled]:
    """Every rating of an answer that may train, as `Rating`, the oldest first."""
    for row in _training(store, actor, "rating"):
        body, answer = row["body"], row["answers"][row["answer_id"]]
        said: Body = {"completion": answer, "likert": body["likert"], "flags": tuple(body["flags"]), "note": body["note"] or ""}
        record = Rating(**said, labeler_id=row["labeler_id"], provenance=_provenance(row))
        yield Labeled(record, row["id"])


def current_labels(store: Store, actor: Account | None, kind: str) -> Iterator[Body]:
    """Every label of a kind that nothing has replaced, of every purpose, mode and labeler, as rows: for agreement and evaluation."""
    _require(actor)
    labels = schema.labels
    yield from _stream(store, sa.select(labels).where(labels.c.kind == kind, is_current()).order_by(labels.c.at, labels.c.id))


def is_current() -> sa.ColumnElement[bool]:
    """True for labels whose submission nothing revises; imports have no submission."""
    revision = schema.submissions.alias("revision")
    return ~sa.exists().where(revision.c.revises == schema.labels.c.submission_id)


def prompt_record(row: Mapping[str, Any]) -> Prompt:
    """The record of a row of `prompts`, with the text that curation has left; its consent is None unless it may train."""
    provenance = _provenance_in(row) or Provenance(who=row["user_id"], when=row["created_at"].isoformat())
    fields = {name: row[name] for name in ("id", "user_id", "source", "kind", "use_case")}
    return Prompt(**fields, text=row["curated_text"] or row["text"], consent=row["consent"] if row["may_train"] else None, provenance=provenance)


def answer_record(row: Body) -> Completion:
    """The record of a row of `answers`."""
    fields = {name: row[name] for name in ("id", "prompt_id", "text", "model_id", "sampling", "finish_reason")}
    token_ids = None if row["token_ids"] is None else tuple(row["token_ids"])
    return Completion(**fields, token_ids=token_ids, provenance=_provenance_in(row) or Provenance())


def _prompts(store: Store, actor: Account | None, which: sa.ColumnElement[bool]) -> Iterator[Labeled]:
    _require(actor)
    prompts = schema.prompts
    query = sa.select(prompts).where(which, prompts.c.erased_at.is_(None), ~is_by_held_out()).order_by(prompts.c.created_at, prompts.c.id)
    for row in _stream(store, query):
        yield Labeled(prompt_record(row), None)


def _training(store: Store, actor: Account | None, kind: str) -> Iterator[Body]:
    """Labels that train, with the columns of their prompts under names that begin with `prompt.`, and the prompts' `answers` by id."""
    _require(actor)
    labels, prompts, accounts = schema.labels, schema.prompts, schema.accounts
    held_out = sa.exists().where(accounts.c.id == labels.c.labeler_id, accounts.c.held_out)
    query = (
        sa.select(labels, *(column.label(f"prompt.{column.name}") for column in prompts.c))
        .join_from(labels, prompts)
        .where(labels.c.kind == kind, labels.c.mode == "training", labels.c.purpose.in_(("label", IMPORTED)), is_current(), ~held_out)
        .where(prompts.c.may_train, prompts.c.erased_at.is_(None), ~is_by_held_out())
        .order_by(labels.c.at, labels.c.id)
    )
    yield from _stream(store, query, with_answers=kind != "demonstration")


def is_by_held_out() -> sa.ColumnElement[bool]:
    """True for prompts that a held-out labeler has written for a task: they make no training data, in no form."""
    prompts, accounts = schema.prompts, schema.accounts
    return sa.and_(prompts.c.source == "labeler", sa.exists().where(accounts.c.id == prompts.c.account_id, accounts.c.held_out))


def _stream(store: Store, query: Query, *, with_answers: bool = False) -> Iterator[Body]:
    """The rows, a few at a time; what belongs to them is read on the same connection, and so as it was at the same moment."""
    with store.reading() as connection:
        for chunk in connection.execution_options(yield_per=CHUNK).execute(query).mappings().partitions():
            answers = _answers(connection, {row["prompt_id"] for row in chunk}) if with_answers else {}
            yield from (dict(row) | ({"answers": answers[row["prompt_id"]]} if with_answers else {}) for row in chunk)


def _answers(connection: sa.Connection, prompt_ids: Collection[str]) -> dict[str, dict[str, Completion]]:
    """Prompt -> id -> answer: ids of answers count within their prompt."""
    answers = schema.answers
    query = sa.select(answers).where(answers.c.prompt_id.in_(prompt_ids), answers.c.erased_at.is_(None))
    found: dict[str, dict[str, Completion]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["prompt_id"], {})[row["id"]] = answer_record(dict(row))
    return found


def _of_prompt(row: Body) -> Body:
    return {name.removeprefix("prompt."): value for name, value in row.items() if name.startswith("prompt.")}


def _provenance(row: Body) -> Provenance:
    return _provenance_in(row) or Provenance(who=row["labeler_id"], when=row["at"].isoformat())


def _provenance_in(row: Mapping[str, Any]) -> Provenance | None:
    return build(Provenance, row["provenance"], "provenance") if row["provenance"] else None


def _require(actor: Account | None) -> None:
    if actor is not None:
        require(actor, READING, "read everybody's labels")
