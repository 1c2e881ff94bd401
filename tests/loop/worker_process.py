"""A worker in a process of its own, which can be killed; with a kind of job whose effect would show if it were had twice.

python worker_process.py STORE FOLDER [once]
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import sqlalchemy as sa

from instructloop.loop.jobs.done import Done
from instructloop.loop.worker import KINDS, Worker
from instructloop.store.database.audit import write_audit
from instructloop.store.database.jobs import Job
from instructloop.store.database.opening import Store, open_store

LEASE = 1.5
STEPS = 4


def count(store: Store, job: Job, folder: Path) -> Done:
    """Four steps, each noted in a file that a successor goes on with; the effect is a row that nothing keeps from being there twice."""
    notes = folder / f"{job.id}.notes"
    while (steps := len(notes.read_text()) if notes.exists() else 0) < STEPS:
        time.sleep(job.payload["seconds"])
        with notes.open("a") as file:
            file.write(str(steps))

    def effect(connection: sa.Connection) -> None:
        write_audit(connection, store.now(), None, "effect", ("job", job.id), {"notes": notes.read_text()})

    return Done({"steps": STEPS}, effect)


def main(place: str, folder: str, once: str = "") -> None:
    store = open_store(place)
    Worker(store=store, folder=Path(folder), kinds={"count": count, **KINDS}, lease_seconds=LEASE).work(once=bool(once))
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
