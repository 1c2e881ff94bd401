"""The job `snapshot`: demonstrations or rankings of a store, or its prompts after curation, frozen into a new folder.

The snapshot says which job has made it: a worker that dies after the folder was there leaves it to the next, which finds it.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from instructloop.curate.settings import Curation, StageName
from instructloop.errors import DataError
from instructloop.loop.jobs.done import Done
from instructloop.reading import build
from instructloop.records import Snapshot
from instructloop.store.database.freezing import by_user, freeze_from_store, register_snapshot
from instructloop.store.database.jobs import Job
from instructloop.store.database.opening import Store
from instructloop.store.snapshots import read_description

CURATED = "prompts"
"""Data that is curated, and where its snapshot lies in the folder of the job."""


@dataclass(frozen=True, kw_only=True)
class SnapshotJob:
    """What to freeze and where to, on the machine of the worker; users fall into splits as the curation settings say."""

    data: Literal["prompts", "demonstrations", "rankings"]
    out: str
    """New folder; of prompts the folder of their curation, with the snapshot in `prompts/`."""
    curation: Curation = field(default_factory=Curation)
    omit: tuple[StageName, ...] = ("length",)
    """Stages of the curation that are left out; `length` needs a tokenizer, which a worker has none of."""
    workers: int = 1


def freeze_data(store: Store, job: Job, _: Path) -> Done:
    """Freeze, unless an earlier attempt has."""
    asked: SnapshotJob = build(SnapshotJob, job.payload, "the job")
    out, query = Path(asked.out), f"instructloop worker, job {job.id}: {asked.data}"
    place = out / CURATED if asked.data == CURATED else out
    if not _made_by(place, query):
        _freeze(store, asked, query)
    snapshot = register_snapshot(store, None, place)
    return Done({"snapshot": snapshot.id, "folder": str(place.absolute()), "records": sum(sum(each.values()) for each in snapshot.counts.values())})


def _freeze(store: Store, asked: SnapshotJob, query: str) -> None:
    if asked.data != CURATED:
        split_of = by_user(asked.curation.fractions, seed=asked.curation.seed)
        freeze_from_store(store, None, asked.data, Path(asked.out), split_of=split_of, query=query)
        return
    from instructloop.loop.curation import Request, choose_stages, curate_store

    stages = choose_stages((), asked.omit)
    curate_store(store, Request(out=Path(asked.out), settings=asked.curation, stages=stages, workers=asked.workers, command=query))


def _made_by(place: Path, query: str) -> Snapshot | None:
    with suppress(DataError):
        there = read_description(place)
        return there if there.query == query else None
    return None
