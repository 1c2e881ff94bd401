"""The worker: takes jobs from a store's table, one at a time, and does them. As many as there are machines may work beside each other.

While a job is done, a thread renews its lease. A worker that dies is silent, and after the time of its lease another takes the job
up; what it does to the database it does in the transaction that finishes it, and what it had half done lies in the folder:

FOLDER/
  <job id>.lock      held by the worker that is at the job, so that one thought dead does not write beside its successor
  <job id>.…         unfinished work; deleted when the job is finished
"""

import _thread
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import exc

from instructloop.errors import Interrupted, NotFound, UserError, first_line
from instructloop.loop.jobs.done import DoJob
from instructloop.loop.jobs.importing import import_into_store
from instructloop.loop.jobs.sampling import sample_candidates
from instructloop.loop.jobs.snapshots import freeze_data
from instructloop.store.database.jobs import LEASE_SECONDS, Job, JobLost, claim, fail_job, finish_job, read_job, release_job, renew_job
from instructloop.store.database.opening import Store

try:
    import fcntl
except ImportError:  # Windows: workers there need folders of their own
    fcntl = None

KINDS: Mapping[str, DoJob] = {"sample": sample_candidates, "import": import_into_store, "snapshot": freeze_data}
"""Kind of job -> what does it."""
IDLE_SECONDS = 1.0
"""Between two looks for a job, when there was none."""
BEATS = 4
"""Signs of life in the time of a lease."""

Told = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One worker of a store."""

    store: Store
    folder: Path
    """For unfinished work; workers of one machine share it."""
    kinds: Mapping[str, DoJob]
    lease_seconds: float = LEASE_SECONDS
    told: Told = lambda line: print(line, flush=True)

    @property
    def name(self) -> str:
        """By which the list of jobs calls it."""
        return f"{platform.node()}/{os.getpid()}"

    def work(self, *, once: bool = False) -> int:
        """Do jobs until Ctrl-C, which gives the job in hand back; with `once` until none waits. Returns how many were finished.

        Raises `Interrupted` after Ctrl-C.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._clear()
        done = 0
        try:
            while True:
                job = claim(self.store, self.name, self.kinds, seconds=self.lease_seconds)
                if job is not None:
                    done += self._do(job)
                elif once:
                    return done
                else:
                    time.sleep(IDLE_SECONDS)
        except KeyboardInterrupt as error:
            raise Interrupted(f"stopped after {done} jobs; no job is lost. To go on, start a worker again") from error

    def _do(self, job: Job) -> bool:
        """True if the job was finished; whatever goes wrong with it does not end the worker."""
        self.told(f"{job.kind} {job.id}: begun" + (f", attempt {job.attempts}" if job.attempts > 1 else ""))
        began, heart = time.monotonic(), _Heart(self.store, job, self.lease_seconds)
        try:
            with _interruptible(), heart, self._alone(job):
                done = self.kinds[job.kind](self.store, job, self.folder)
            finish_job(self.store, job, dict(done.result), effect=done.effect)
        except (KeyboardInterrupt, Interrupted) as error:
            if not heart.lost:
                with suppress(JobLost):
                    release_job(self.store, job)
                raise KeyboardInterrupt from error
            self.told(f"{job.kind} {job.id}: taken up by another worker, or cancelled")
        except JobLost:
            self.told(f"{job.kind} {job.id}: taken up by another worker, or cancelled")
        except Exception as error:  # the next job may be a better one
            self._failed(job, error)
        else:
            self._delete(job.id)
            shown = ", ".join(f"{name} {value}" for name, value in done.result.items())
            self.told(f"{job.kind} {job.id}: done in {time.monotonic() - began:.1f} s; {shown}")
            return True
        return False

    def _failed(self, job: Job, error: Exception) -> None:
        """A mistake in the job is the same next time; anything else may pass."""
        for_good = isinstance(error, UserError)
        if not for_good:
            traceback.print_exception(error, file=sys.stderr)
        self.told(f"{job.kind} {job.id}: failed: {error if for_good else first_line(error)}")
        with suppress(JobLost):
            fail_job(self.store, job, str(error) if for_good else f"{type(error).__name__}: {first_line(error)}", for_good=for_good)
            if read_job(self.store, job.id).ended_at is not None:
                self._delete(job.id)

    @contextmanager
    def _alone(self, job: Job) -> Generator[None]:
        """Wait until no process of this machine is at the job any more. The lock ends with its process, however that ends."""
        with open(self.folder / f"{job.id}.lock", "w") as lock:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _clear(self) -> None:
        """Delete what workers left behind that died right after they had finished: it holds people's texts."""
        for job_id in {file.name.partition(".")[0] for file in self.folder.iterdir() if file.is_file()}:
            with suppress(NotFound):
                if read_job(self.store, job_id).ended_at is not None:
                    self._delete(job_id)

    def _delete(self, job_id: str) -> None:
        for file in self.folder.glob(f"{job_id}.*"):
            file.unlink(missing_ok=True)


class _Heart:
    """Renews a job's lease while it is done. If the lease is lost all the same, it interrupts the main thread, which does the job."""

    def __init__(self, store: Store, job: Job, seconds: float) -> None:
        self._store, self._job, self._seconds = store, job, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.lost = False

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._seconds / BEATS):
            try:
                renew_job(self._store, self._job, seconds=self._seconds)
            except JobLost:
                self.lost = not self._stop.is_set()
                if self.lost:
                    _interrupt_main_thread()
                return
            except exc.OperationalError:  # the database is busy or away for a moment
                continue


@contextmanager
def _interruptible() -> Generator[None]:
    """SIGINT raises `KeyboardInterrupt`, also in a process that a shell has put in the background, which starts out deaf to it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt_main_thread() -> None:
    """As Ctrl-C would; a real signal also ends a wait in the kernel."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
