"""`instructloop import FILE...`: files of prompts, demonstrations or rankings into a feedback store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from instructloop.cli.parsing import parse
from instructloop.errors import ConfigError, DataError

if TYPE_CHECKING:
    from instructloop.store.database.opening import Store


@dataclass(frozen=True, kw_only=True)
class Import:
    """Read data files of any layout known into a feedback store; importing a file again adds nothing. With --kind store, put back a
    folder that `instructloop export everything` has written."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE ...", help_behavior_hint="")]
    """JSON lines (.jsonl, .gz, .zst) or Parquet, as `instructloop snapshot` reads them; or the folder of an export."""
    store: str
    """Feedback store, made if there is none: a path, or postgresql+psycopg://..."""
    kind: Literal["prompts", "demonstrations", "rankings", "answers", "store"]
    """What the lines hold. answers: what `instructloop sample` has written, for people to rank."""
    consent: str | None = None
    """The licence under which the prompts may be trained on, for rows that state none; without it they never are."""
    layout: str | None = None
    """Layout of the files; recognised from their keys if not given."""
    queue: str | None = None
    """answers: the queue whose tasks they become, made if there is none of that name."""
    overlap: int = 1
    """answers: people who rank each, in a queue that is made."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("import", Import, argv)
    if not asked.files:
        raise DataError("no file is given", expected="the files to import, before the flags", remedy="see `instructloop import --help`")
    if asked.kind == "store" and (len(asked.files) != 1 or asked.consent or asked.layout):
        raise ConfigError("an export with more beside it", expected="one folder, without --consent and --layout", remedy="leave out the others")
    if (asked.kind == "answers") != (asked.queue is not None):
        raise ConfigError(f"--queue {asked.queue} with --kind {asked.kind}", expected="--queue with answers, and only with them", remedy="correct it")
    from instructloop.cli.stores import opened
    from instructloop.store.database.importing import import_files
    from instructloop.store.database.raw_export import import_store

    with opened(asked.store, new=True) as store:
        if asked.kind == "answers":
            print(f"{_add_answers(store, asked):,} ranking tasks in the queue {asked.queue!r}")
            return
        if asked.kind == "store":
            for table, rows in import_store(store, None, asked.files[0]).items():
                print(f"{table:20}{rows:>10,} new rows")
            return
        came = import_files(store, None, asked.files, asked.kind, licence=asked.consent, layout=asked.layout)
    print(f"{came.records:,} {asked.kind} read: {came.prompts:,} new prompts, {came.labels:,} new labels")
    if came.erased:
        print(f"{came.erased:,} left out: their authors have erased them")
    if came.without_consent:
        print(f"{came.without_consent:,} new prompts carry no consent and will not be trained on; --consent LICENCE states one")


def _add_answers(store: "Store", asked: Import) -> int:
    from instructloop.records import AnswerSet
    from instructloop.store.database.queues import QueueSettings, create_queue, queue_named
    from instructloop.store.database.tasks import add_answer_sets
    from instructloop.store.jsonl import read_records

    sets = [one for file in asked.files for one in read_records(file, AnswerSet)]
    name = asked.queue or ""
    queue = queue_named(store, name) or create_queue(store, None, name=name, kind="ranking", settings=QueueSettings(overlap=asked.overlap))
    return len(add_answer_sets(store, None, queue.id, sets, licence=asked.consent))
