"""Data sets on their way out: each is written into a file by a thread, and lies ready for a day, or until the site ends."""

import logging
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from instructloop.errors import UserError
from instructloop.store.database.data_export import Layout, What, export_data
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.raw_export import export_store
from instructloop.store.database.roles import READING, Account, require

LOG = logging.getLogger(__name__)
KEPT = timedelta(days=1)
MOST = 20
"""Exports kept at a time; the oldest goes first."""
Form = Literal["jsonl", "parquet"]
SUFFIX = {"jsonl": ".jsonl.gz", "parquet": ".parquet"}


@dataclass
class Export:
    """One file, being written or ready."""

    id: str
    what: str
    layout: str
    by: str
    at: datetime
    path: Path
    rows: int | None = None
    """None until it is ready."""
    problem: str | None = None


@dataclass
class Exports:
    """The exports of a running site, in a folder that nobody else can read."""

    _made: dict[str, Export] = field(default_factory=dict[str, Export])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _folder: Path | None = None
    _threads: ThreadPoolExecutor | None = None
    """One file is written at a time."""

    def start(self, store: Store, me: Account, what: What, layout: Layout, form: Form) -> Export:
        """Write a data set into a file. For those who read everything; the store writes the row of the audit."""
        require(me, READING, f"export {what}")
        made = self._new(store, me, what, layout, SUFFIX[form])
        self._submit(made, lambda: export_data(store, me, what, made.path, layout=layout))
        return made

    def start_everything(self, store: Store, me: Account, form: Form) -> Export:
        """Write every table into an archive."""
        require(me, READING, "export the store")
        made = self._new(store, me, "everything", "record", ".zip")

        def write() -> int:
            folder = made.path.with_suffix("")
            rows = export_store(store, me, folder, kind=form)
            shutil.make_archive(str(folder), "zip", folder)
            shutil.rmtree(folder)
            return sum(rows.values())

        self._submit(made, write)
        return made

    def listed(self, now: datetime) -> list[Export]:
        """The newest first; those that are too old are deleted."""
        with self._lock:
            newest = sorted(self._made.values(), key=lambda one: one.at, reverse=True)
            for one in newest[MOST:] + [one for one in newest[:MOST] if now - one.at > KEPT]:
                one.path.unlink(missing_ok=True)
                self._made.pop(one.id, None)
            return [one for one in newest if one.id in self._made]

    def ready(self, id_: str) -> Export | None:
        """The export if it can be fetched."""
        found = self._made.get(id_)
        return found if found is not None and found.rows is not None else None

    def close(self) -> None:
        """Wait for the one being written, and delete all."""
        with self._lock:
            threads, folder = self._threads, self._folder
            self._threads, self._folder = None, None
            self._made.clear()
        if threads is not None:
            threads.shutdown(cancel_futures=True)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _submit(self, made: Export, write: Callable[[], int]) -> None:
        with self._lock:
            self._threads = self._threads or ThreadPoolExecutor(1, "export")
            self._threads.submit(_write, made, write)

    def _new(self, store: Store, me: Account, what: str, layout: str, suffix: str) -> Export:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="instructloop-exports-"))
            id_ = new_id()
            made = Export(id=id_, what=what, layout=layout, by=me.name, at=store.now(), path=self._folder / f"{what}-{layout}-{id_[:8]}{suffix}")
            self._made[id_] = made
        return made


def _write(made: Export, write: Callable[[], int]) -> None:
    try:
        made.rows = write()
    except UserError as error:
        made.problem = f"{error.came}. {error.remedy[:1].upper()}{error.remedy[1:]}."
    except Exception:
        LOG.exception("the export %s failed", made.id)
        made.problem = ""
