"""From submissions to labels: one row for everything that was said of one prompt or answer, written in the submission's transaction.

ranking           K ratings, a ranking {"groups", "answers"}, and a demonstration if a better answer was written
evaluation        2 ratings, an evaluation {"answers": [baseline, other], "preferred"}
demonstration     a demonstration {"text"}
prompt_metadata   metadata {"use_case", "marks"}
write_prompt      a new prompt of the labeler's, and what it was written as {"prompt_kind", "about"}
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from instructloop.records import PromptKind
from instructloop.store.database import schema
from instructloop.store.database.kinds import QUERY, RESPONSE, Body, Kind
from instructloop.store.database.opening import new_id
from instructloop.store.database.prompts import Consent, NewPrompt, find_prompt, insert_prompt, stop_training
from instructloop.store.database.roles import Account

LABELER_CONSENT = "labeler"
"""Version of the consent of prompts that labelers write: they write them to train on."""


_TASK = (
    sa.select(schema.tasks.c.queue_id, schema.tasks.c.prompt_id, schema.tasks.c.payload, schema.prompts.c.erased_at)
    .add_columns(schema.queues.c.kind, schema.queues.c.mode, schema.queues.c.revise_seconds)
    .join_from(schema.tasks, schema.queues)
    .outerjoin(schema.prompts)
    .where(schema.tasks.c.id == sa.bindparam("this_task"))
)


@dataclass(frozen=True, kw_only=True)
class LabeledTask:
    """What is known of a task when somebody answers it."""

    queue_id: str
    kind: Kind
    mode: str
    prompt_id: str | None
    prompt_kind: PromptKind
    about: str | None
    answers: tuple[str, ...]
    purpose: str
    revise_seconds: int
    erased: bool


def task_of(connection: sa.Connection, task_id: str, purpose: str) -> LabeledTask:
    """The task with what its queue and its prompt say of it."""
    row = connection.execute(_TASK, {"this_task": task_id}).mappings().one()
    payload: Body = row["payload"] or {}
    return LabeledTask(
        queue_id=row["queue_id"], kind=row["kind"], mode=row["mode"], prompt_id=row["prompt_id"],
        prompt_kind=payload.get("prompt_kind", "plain"), about=payload.get("about"),
        answers=tuple(payload.get("answers", ())), purpose=purpose, revise_seconds=row["revise_seconds"], erased=row["erased_at"] is not None,
    )  # fmt: skip


def write_labels(
    connection: sa.Connection, actor: Account, submission_id: str, task: LabeledTask, body: Mapping[str, Any], at: datetime, replaces: str = ""
) -> None:
    """The rows that a submission says. `replaces` is the submission that it revises: a prompt written there is no longer used."""
    prompt_id = task.prompt_id
    if task.kind == "write_prompt":
        _drop_prompt(connection, at, actor, replaces)
        prompt_id = insert_prompt(connection, at, actor, _written(task, body))
    row: Body = {"prompt_id": prompt_id, "labeler_id": actor.id, "submission_id": submission_id, "purpose": task.purpose, "mode": task.mode, "at": at}
    said = [{"id": new_id(), "kind": kind, "answer_id": answer, "body": one, **row} for kind, answer, one in _said(task, body)]
    connection.execute(sa.insert(schema.labels), said)


def _said(task: LabeledTask, body: Mapping[str, Any]) -> Iterator[tuple[str, str | None, Body]]:
    """(kind, answer, body) of each label."""
    for answer, rating in body.get("ratings", {}).items():
        yield "rating", answer, rating
    if task.kind == "ranking":
        yield "ranking", None, {"groups": body["groups"], "answers": list(task.answers)}
        if body["better"]:
            yield "demonstration", None, {"text": body["better"]}
    elif task.kind == "evaluation":
        yield "evaluation", None, {"answers": list(task.answers), "preferred": body["preferred"]}
    elif task.kind == "demonstration":
        yield "demonstration", None, {"text": body["text"]}
    elif task.kind == "prompt_metadata":
        yield "metadata", None, dict(body)
    else:
        yield "prompt", None, {"prompt_kind": task.prompt_kind, "about": task.about}


def _written(task: LabeledTask, body: Mapping[str, Any]) -> NewPrompt:
    few_shot = task.prompt_kind == "few_shot"
    return NewPrompt(
        text=few_shot_text(body) if few_shot else body["prompt"], consent=Consent(store=True, train=True, version=LABELER_CONSENT), source="labeler",
        kind=task.prompt_kind, use_case=body["use_case"], content={name: body[name] for name in ("instruction", "shots")} if few_shot else None,
    )  # fmt: skip


def few_shot_text(body: Mapping[str, Any]) -> str:
    """A few-shot prompt as one text, from which its parts can be read again: the instruction, then the examples with their markers."""
    examples = [f"{QUERY} {shot['query']}\n{RESPONSE} {shot['response']}" for shot in body["shots"]]
    return "\n\n".join([body["instruction"], *examples])


def _drop_prompt(connection: sa.Connection, at: datetime, actor: Account, submission_id: str) -> None:
    labels = schema.labels
    written = labels.c.submission_id == submission_id, labels.c.kind == "prompt"
    for prompt_id in connection.execute(sa.select(labels.c.prompt_id).where(*written)).scalars().all():
        stop_training(connection, at, actor, find_prompt(connection, prompt_id, generations=False))
