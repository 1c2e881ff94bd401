"""Functions of texts applied a chunk at a time: in this process, or in several with the same results in the same order."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from instructloop.curate.verdicts import TextMap

R = TypeVar("R")

CHUNK = 1000
"""Texts handed over at a time."""
AHEAD = 4
"""Chunks under way for each process: enough that none waits, few enough that memory does not grow with the input."""


def in_this_process(function: Callable[[Sequence[str]], Sequence[R]], texts: Iterable[str]) -> Iterator[R]:
    """Apply `function` to chunk after chunk."""
    for chunk in _chunks(texts):
        yield from function(chunk)


@contextmanager
def text_map(workers: int) -> Generator[TextMap]:
    """What applies functions of texts: with one worker this process, else so many processes, started afresh, that end with the block.

    The function must pickle: a function of a module, a `partial` of one, a method of a frozen dataclass.
    """
    if workers <= 1:
        yield in_this_process
        return
    # Fresh processes, not forks: a fork of a process that runs threads (torch's, a server's) may never wake up.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:

        def apply(function: Callable[[Sequence[str]], Sequence[R]], texts: Iterable[str]) -> Iterator[R]:
            waiting: deque[Future[Sequence[R]]] = deque()
            for chunk in _chunks(texts):
                waiting.append(pool.submit(function, chunk))
                if len(waiting) > AHEAD * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()

        yield apply


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
