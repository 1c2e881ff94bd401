"""One voice for a run, its own: while models are loaded and saved, transformers says nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging


@contextmanager
def quietly() -> Iterator[None]:
    """Without transformers' bars ("Loading weights", "Writing model shards") and reports; the hub's bars, of downloads, stay.

    What its report of a load says of missing weights is in `output_loading_info` too, and becomes an error of ours.
    """
    hook, verbosity = logging.set_tqdm_hook(lambda _factory, args, kwargs: logging.EmptyTqdm(*args, **kwargs)), logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        logging.set_tqdm_hook(hook)
