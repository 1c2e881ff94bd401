"""Files that people have -> the store: prompts, demonstrations, rankings of other projects, each prompt under a consent or a licence.

Importing a file twice adds nothing the second time. All of a file is stored or nothing.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from instructloop.records import Demonstration, Prompt, Ranking
from instructloop.store import layouts
from instructloop.store.conversion import UNKNOWN
from instructloop.store.database import schema
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.intake import MOST_ID, take_answer, take_prompt
from instructloop.store.database.kinds import Body
from instructloop.store.database.labels import IMPORTED
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import LEADING, require
from instructloop.store.database.texts import checked, checked_name

FileKind = Literal["prompts", "demonstrations", "rankings"]
READERS: Mapping[FileKind, Callable[..., Iterable[Prompt | Demonstration | Ranking]]] = {
    "prompts": layouts.read_prompts,
    "demonstrations": layouts.read_demonstrations,
    "rankings": layouts.read_rankings,
}


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import added."""

    records: int
    """In the files."""
    prompts: int
    """New ones."""
    labels: int
    """New demonstrations or rankings."""
    without_consent: int
    """New prompts that state none, of an import that states none: they are kept and never trained on."""


def import_files(
    store: Store, actor: Actor, files: Sequence[Path], kind: FileKind, *, licence: str | None = None, layout: str | None = None
) -> Imported:
    """Read files of any known layout into the store. `licence` is the consent of rows that state none.

    For administrators, leads and the command line. Raises `DataError` for a row that cannot be read, an id that stands for
    something else already; `NotFound` for a prompt that its author has erased.
    """
    if actor is not None:
        require(actor, LEADING, "import files")
    licence = None if licence is None else checked_name(licence, "the licence")
    with store.writing(durable=True) as connection:
        now, counts = store.now(), _Counts()
        for record in READERS[kind](*files, layout=layout):
            counts.records += 1
            prompt = record if isinstance(record, Prompt) else record.prompt
            if take_prompt(connection, now, prompt, licence):
                counts.prompts += 1
                counts.without_consent += not _may_train(connection, prompt.id)
            if isinstance(record, Demonstration | Ranking):
                counts.labels += _take_label(connection, now, record)
        details = {"files": [file.name for file in files], "kind": kind, "licence": licence, **vars(counts)}
        write_audit(connection, now, actor, "import files", ("store", ""), details)
    return Imported(**vars(counts))


@dataclass
class _Counts:
    records: int = 0
    prompts: int = 0
    labels: int = 0
    without_consent: int = 0


def _may_train(connection: sa.Connection, prompt_id: str) -> bool:
    return connection.execute(sa.select(schema.prompts.c.may_train).where(schema.prompts.c.id == prompt_id)).scalar_one()


def _take_label(connection: sa.Connection, now: datetime, record: Demonstration | Ranking) -> bool:
    """True if the label was new."""
    if isinstance(record, Ranking):
        for answer in record.completions:
            take_answer(connection, now, answer, "import")
        kind, body = "ranking", {"groups": [list(group) for group in record.groups], "answers": [answer.id for answer in record.completions]}
    else:
        kind, body = "demonstration", {"text": checked(record.text, f"the answer to {record.prompt.id!r}")}
    labels, label_id = schema.labels, _label_id(record, kind, body)
    if connection.execute(sa.select(labels.c.id).where(labels.c.id == label_id)).first() is not None:
        return False
    row: Body = {"kind": kind, "prompt_id": record.prompt.id, "labeler_id": checked(record.labeler_id, "the labeler", most=MOST_ID)}
    row |= {"purpose": IMPORTED, "mode": "training", "body": body, "provenance": record.to_json()["provenance"], "at": now}
    connection.execute(sa.insert(labels).values(id=label_id, **row))
    return True


def _label_id(record: Demonstration | Ranking, kind: str, body: Body) -> str:
    """The same for the same label, whenever it is imported. People without names may say the same thing only once."""
    who: Any = None if record.labeler_id.startswith(UNKNOWN) else record.labeler_id
    told = json.dumps([kind, record.prompt.id, who, body], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:24]
