"""What doing a job comes to, and what every kind of job is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from instructloop.store.database.jobs import Job
from instructloop.store.database.opening import Store


@dataclass(frozen=True)
class Done:
    """A job that is done but for its effect."""

    result: Mapping[str, Any]
    """Numbers and ids for the list of jobs; no texts of people."""
    effect: Callable[[sa.Connection], None] | None = None
    """Writes what the job does to the database, in the transaction that finishes it."""


DoJob = Callable[[Store, Job, Path], Done]
"""(store, job, folder) -> what came of it. Unfinished work lies in the folder, under names that begin with the job's id: whoever
takes the job up later goes on with it, and it is deleted when the job is done."""
