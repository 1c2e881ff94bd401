"""The job `import`: a file of prompts, demonstrations or rankings into the store. What is there already is not added again."""

from dataclasses import asdict, dataclass
from pathlib import Path

from instructloop.loop.jobs.done import Done
from instructloop.reading import build
from instructloop.store.database.importing import FileKind, import_files
from instructloop.store.database.jobs import Job
from instructloop.store.database.opening import Store


@dataclass(frozen=True, kw_only=True)
class ImportJob:
    """Files on the machine of the worker, and under which licence they come."""

    files: tuple[str, ...]
    kind: FileKind
    licence: str | None = None
    layout: str | None = None


def import_into_store(store: Store, job: Job, _: Path) -> Done:
    """Import; a file that was half imported when a worker died is imported to its end by the next."""
    asked: ImportJob = build(ImportJob, job.payload, "the job")
    came = import_files(store, None, [Path(file) for file in asked.files], asked.kind, licence=asked.licence, layout=asked.layout)
    return Done(asdict(came))
