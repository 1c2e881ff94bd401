"""Opening the store that a command line names."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from instructloop.errors import StoreError
from instructloop.store.database.opening import Store, open_store

if TYPE_CHECKING:
    from instructloop.store.database.lineage import Identify


@contextmanager
def opened(place: str, *, new: bool = False) -> Generator[Store]:
    """The store at a path or URL, closed at the end; raises `StoreError` for a path where there is none, unless it may be new."""
    if not new and "://" not in place and not Path(place).exists():
        raise StoreError(
            f"there is no store {place}", expected="the path of a feedback database", remedy="correct --store, or `instructloop import` first"
        )
    store = open_store(place)
    try:
        yield store
    finally:
        store.close()


def identify() -> "Identify | None":
    """What tells which checkpoint is which, from its weights; None where torch, which reads them, is not installed."""
    from instructloop.loop.machine import is_installed

    if not is_installed("torch"):
        return None
    from instructloop.steps.provenance import model_identity

    return model_identity
