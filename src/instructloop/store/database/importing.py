"""Files that people have -> the store: prompts, demonstrations, rankings of other projects, each prompt under a consent or a licence.

The whole is read and checked before anything is written. It is written a few hundred records at a time, so that people can go on
working; importing a file again adds nothing, and finishes what a crash has left unfinished.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from instructloop.errors import NotFound
from instructloop.records import Demonstration, Prompt, Ranking
from instructloop.store import layouts
from instructloop.store.conversion import UNKNOWN
from instructloop.store.database import schema
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.intake import MOST_ID, check_prompt, take_answer, take_prompt
from instructloop.store.database.kinds import Body
from instructloop.store.database.labels import IMPORTED
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import LEADING, require
from instructloop.store.database.texts import checked, checked_name
from instructloop.store.database.turns import INTAKE, one_at_a_time

FileKind = Literal["prompts", "demonstrations", "rankings"]
ImportedRecord = Prompt | Demonstration | Ranking
READERS: Mapping[FileKind, Callable[..., Iterable[ImportedRecord]]] = {
    "prompts": layouts.read_prompts,
    "demonstrations": layouts.read_demonstrations,
    "rankings": layouts.read_rankings,
}
CHUNK = 500
"""Records written at a time."""


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
    erased: int
    """Records left out, as the authors of their prompts have erased them."""


def import_files(
    store: Store, actor: Actor, files: Sequence[Path], kind: FileKind, *, licence: str | None = None, layout: str | None = None
) -> Imported:
    """Read files of any known layout into the store. `licence` is the consent of rows that state none.

    For administrators, leads and the command line. Raises `DataError` for a row that cannot be read, and for an id that stands
    for something else already. What its author has erased is left out.
    """
    if actor is not None:
        require(actor, LEADING, "import files")
    licence = None if licence is None else checked_name(licence, "the licence")
    with store.reading() as connection:
        for record in READERS[kind](*files, layout=layout):
            with suppress(NotFound):
                check_prompt(connection, _prompt_of(record))
    counts, records = _Counts(), iter(READERS[kind](*files, layout=layout))
    while chunk := list(islice(records, CHUNK)):
        with store.writing() as connection:
            one_at_a_time(connection, INTAKE)
            for record in chunk:
                counts.records += 1
                try:
                    _take(connection, store.now(), record, licence, counts)
                except NotFound:
                    counts.erased += 1
    with store.writing(durable=True) as connection:
        details = {"files": [file.name for file in files], "kind": kind, "licence": licence, **vars(counts)}
        write_audit(connection, store.now(), actor, "import files", ("store", ""), details)
    return Imported(**vars(counts))


@dataclass
class _Counts:
    records: int = 0
    prompts: int = 0
    labels: int = 0
    without_consent: int = 0
    erased: int = 0


def _take(connection: sa.Connection, now: datetime, record: ImportedRecord, licence: str | None, counts: _Counts) -> None:
    prompt = _prompt_of(record)
    if take_prompt(connection, now, prompt, licence):
        counts.prompts += 1
        counts.without_consent += not _may_train(connection, prompt.id)
    if isinstance(record, Demonstration | Ranking):
        counts.labels += _take_label(connection, now, record)


def _prompt_of(record: ImportedRecord) -> Prompt:
    return record if isinstance(record, Prompt) else record.prompt


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
