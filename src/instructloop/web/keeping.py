"""Prompts and answers on their way into the store: writes that outlive the request that caused them.

A client that hangs up in the middle of an answer has still asked, and what it allowed to be stored is stored, as far as it came.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from fastapi.concurrency import run_in_threadpool

from instructloop.errors import NotFound
from instructloop.protocols import Sampling
from instructloop.store.database.opening import Store
from instructloop.store.database.prompts import record_generation
from instructloop.store.database.roles import Account
from instructloop.web.api.wire import Answer

T = TypeVar("T")
LOG = logging.getLogger(__name__)


class Keeping:
    """Writes in the background."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, write: Callable[[], T]) -> asyncio.Task[T]:
        """Begin a write in a thread; await the task or not, it is done in any case."""
        task = asyncio.create_task(run_in_threadpool(write))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def finish(self) -> None:
        """Wait for every write: the site is closing."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("an answer could not be stored", exc_info=error)


def keep_answers(store: Store, owner: Account, prompt_id: str, answers: Sequence[tuple[str, Answer, Sampling]]) -> list[str | None]:
    """Store (model, answer, how it was sampled) beside the prompt; their ids, None for those whose prompt was erased meanwhile."""
    return [_keep(store, owner, prompt_id, model, answer, sampling) for model, answer, sampling in answers]


def _keep(store: Store, owner: Account, prompt_id: str, model: str, answer: Answer, sampling: Sampling) -> str | None:
    how: Mapping[str, Any] = {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_new_tokens": sampling.max_new_tokens}
    # A model may write any character; NUL is one that no database keeps.
    text = answer.text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    try:
        kept = record_generation(store, owner, prompt_id, text=text, model=model, sampling=how, finish_reason=answer.finish_reason)
    except NotFound:
        return None
    return kept.id
