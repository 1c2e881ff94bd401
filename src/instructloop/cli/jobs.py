"""`instructloop jobs list|sample|import|snapshot|cancel --store …`: what workers are to do."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from instructloop.cli.inputs import Data, require_snapshot
from instructloop.cli.parsing import parse
from instructloop.cli.refusals import mistyped
from instructloop.cli.stores import opened
from instructloop.curate.settings import Curation
from instructloop.loop.answer_plan import EVERY_SPLIT, parse_models

if TYPE_CHECKING:
    from instructloop.store.database.opening import Store


@dataclass(frozen=True, kw_only=True)
class InStore:
    """The newest jobs: what they are to do, how they stand, what came of them."""

    store: str
    """Feedback store: a path, or postgresql+psycopg://..."""


@dataclass(frozen=True, kw_only=True)
class SampleCandidates(InStore):
    """Let a worker sample several answers to each prompt of a snapshot, as tasks of a queue in which people rank them."""

    queue: str
    """Name of the queue; made if there is none."""
    overlap: int = 1
    """Of a queue that is made: people who each rank a task."""
    prompts: Path
    """Snapshot of prompts."""
    split: str = EVERY_SPLIT
    """Split of the snapshot."""
    model: tyro.conf.UseAppendAction[tuple[str, ...]]
    """NAME of a registered model, or NAME:SHARE once for each of several; the shares sum to 1. Labelers never see who answered."""
    num_answers: str = "4..9"
    """Answers per prompt: a number, or a range from which each prompt draws its own."""
    max_new_tokens: int = 256
    """Tokens of the longest answer."""
    temperature: float = 1.0
    """Logits are divided by it."""
    seed: int = 0
    """Decides all that is drawn, prompt by prompt."""
    context: int = 2048
    """Models made elsewhere: tokens of prompt and answer together. Our checkpoints say theirs."""


@dataclass(frozen=True, kw_only=True)
class ImportFiles(InStore):
    """Let a worker read files into the store, as `instructloop import` does."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE ...", help_behavior_hint="")]
    """Files on the machine of the worker."""
    kind: Literal["prompts", "demonstrations", "rankings"]
    """What the lines hold."""
    consent: str | None = None
    """The licence under which the prompts may be trained on, for rows that state none."""


@dataclass(frozen=True, kw_only=True)
class FreezeSnapshot(InStore):
    """Let a worker freeze what may train: demonstrations, rankings, or prompts after curation; split by user."""

    data: Literal["prompts", "demonstrations", "rankings"]
    """What to freeze."""
    out: Path
    """New folder; of prompts the folder of their curation, with the snapshot in `prompts/`."""
    curation: Annotated[Curation, tyro.conf.arg(name="")] = field(default_factory=Curation)
    """The splits, and the stages' knobs."""


@dataclass(frozen=True, kw_only=True)
class Cancel(InStore):
    """Let nobody do a job any more."""

    job: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="JOB")]
    """Its id, as the list shows it."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    kind, rest = (argv[0], argv[1:]) if argv else ("--help", [])
    if kind in ("-h", "--help"):
        print("usage: instructloop jobs {" + ",".join(ACTS) + "} --store STORE [...]\n\n`instructloop jobs ACT --help` tells more.")
        raise SystemExit(0)
    if kind not in ACTS:
        raise mistyped("act", kind, ACTS, see="instructloop jobs --help")
    arguments, act = ACTS[kind]
    asked = parse(f"jobs {kind}", arguments, rest)
    with opened(asked.store) as store:
        act(store, asked)


def _list(store: "Store", _: InStore) -> None:
    from instructloop.store.database.jobs import list_jobs

    for job in list_jobs(store, None):
        came = job.error or ", ".join(f"{name} {value}" for name, value in (job.result or {}).items())
        print(f"{job.id}  {job.kind:9}{job.state:10}{job.created_at:%Y-%m-%d %H:%M}  {came.splitlines()[0] if came else ''}".rstrip())


def _sample(store: "Store", asked: SampleCandidates) -> None:
    from instructloop.loop.jobs.sampling import SampleJob
    from instructloop.store.database.models import read_model
    from instructloop.store.database.queues import QueueSettings, create_queue, list_queues

    require_snapshot(asked.prompts, Data("prompts", splits=() if asked.split == EVERY_SPLIT else (asked.split,)))
    models = {read_model(store, model.path).name: model.share for model in parse_models(asked.model)}
    given = {name: getattr(asked, name) for name in ("split", "num_answers", "max_new_tokens", "temperature", "seed", "context")}
    known = {queue.name: queue for queue in list_queues(store, None)}
    job = SampleJob(queue_id="", prompts=str(asked.prompts.absolute()), models=models, **given)  # checked before a queue is made
    settings = QueueSettings(overlap=asked.overlap)
    queue = known.get(asked.queue) or create_queue(store, None, name=asked.queue, kind="ranking", settings=settings)
    _enqueue(store, "sample", asdict(job) | {"queue_id": queue.id})


def _import(store: "Store", asked: ImportFiles) -> None:
    from instructloop.loop.jobs.importing import ImportJob

    files = tuple(str(file.absolute()) for file in asked.files)
    _enqueue(store, "import", asdict(ImportJob(files=files, kind=asked.kind, licence=asked.consent)))


def _snapshot(store: "Store", asked: FreezeSnapshot) -> None:
    from instructloop.loop.jobs.snapshots import SnapshotJob

    _enqueue(store, "snapshot", asdict(SnapshotJob(data=asked.data, out=str(asked.out.absolute()), curation=asked.curation)))


def _cancel(store: "Store", asked: Cancel) -> None:
    from instructloop.store.database.jobs import cancel_job

    cancel_job(store, None, asked.job)


def _enqueue(store: "Store", kind: str, payload: Mapping[str, Any]) -> None:
    """The same command line is the same job."""
    from instructloop.store.database.jobs import enqueue

    key = hashlib.sha256(json.dumps([kind, payload], sort_keys=True).encode()).hexdigest()
    job = enqueue(store, None, kind, json.loads(json.dumps(payload)), key=key)
    print(f"{job.kind} {job.id} is {job.state}; `instructloop worker` does it")


ACTS: Mapping[str, tuple[type[InStore], Callable[..., None]]] = {
    "list": (InStore, _list),
    "sample": (SampleCandidates, _sample),
    "import": (ImportFiles, _import),
    "snapshot": (FreezeSnapshot, _snapshot),
    "cancel": (Cancel, _cancel),
}
