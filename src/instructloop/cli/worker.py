"""`instructloop worker --store …`: do the jobs of a feedback store."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from instructloop.cli.parsing import parse
from instructloop.cli.stores import opened
from instructloop.errors import ConfigError
from instructloop.store.database.jobs import LEASE_SECONDS


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Do the jobs of a feedback store, the oldest first: sample candidates for a ranking queue, import files, freeze snapshots.

    Several workers may work at once, on one machine or many. One that dies loses nothing: another takes its job up, whose effect is
    had once. Ctrl-C gives the job in hand back. `instructloop jobs` says what is to be done, and how it went.
    """

    store: str
    """Feedback store: a path, or postgresql+psycopg://..."""
    once: bool = False
    """End when no job waits, in place of waiting for more."""
    kinds: tuple[Literal["sample", "import", "snapshot"], ...] = ("sample", "import", "snapshot")
    """Do these kinds only: sampling needs a machine for models, the others none."""
    folder: Path = Path("out/worker")
    """For unfinished work, which is gone on with after a crash."""
    lease: float = LEASE_SECONDS
    """Seconds of silence after which other workers take a job for abandoned."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("worker", Worker, argv)
    if asked.lease <= 0:
        raise ConfigError(f"the lease is {asked.lease:g} seconds", expected="more than 0", remedy="leave --lease out")
    from instructloop.loop import worker as workers

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end in this way it gives its job back, too
    with opened(asked.store) as store:
        kinds = {kind: workers.KINDS[kind] for kind in asked.kinds}
        worker = workers.Worker(store=store, folder=asked.folder, kinds=kinds, lease_seconds=asked.lease)
        print(f"worker {worker.name}: {', '.join(asked.kinds)}", flush=True)
        done = worker.work(once=asked.once)
    print(f"no job waits; {done} done")
