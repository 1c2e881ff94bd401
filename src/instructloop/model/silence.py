"""One progress bar for a run, its own: transformers' are not drawn."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging


@contextmanager
def without_bars() -> Iterator[None]:
    """Keep transformers from drawing its bars ("Loading weights", "Writing model shards"); the hub's, of downloads, stay."""
    before = logging.set_tqdm_hook(lambda _factory, args, kwargs: logging.EmptyTqdm(*args, **kwargs))
    try:
        yield
    finally:
        logging.set_tqdm_hook(before)
