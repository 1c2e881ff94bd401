"""Answers in the making: a completer blocks, so each answer runs in a thread of its own and its chunks arrive in the event loop.

    running = Answers(limit=64)
    async for index, chunk in running.stream([(completer, request), ...]):
        ...

Leaving the loop, for whatever reason, cancels every answer that is not finished: the completer's iterator is closed.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request

from instructloop.protocols import Completer, CompletionChunk, CompletionRequest
from instructloop.web.refusals import Refusal

T = TypeVar("T")
Asked = tuple[Completer, CompletionRequest]
Indexed = tuple[int, CompletionChunk]

BUSY_SECONDS = 2.0
"""What a client is told to wait when every place is taken."""


class Answers:
    """The answers that one site is making."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._running: set[_Running] = set()

    @property
    def num_running(self) -> int:
        """Answers being made or waiting for the model."""
        return len(self._running)

    async def stream(self, asked: Sequence[Asked]) -> AsyncGenerator[Indexed]:
        """(index in `asked`, chunk) as they come, interleaved. Raises `Refusal` where there is no room, and what a completer raises."""
        if self.num_running + len(asked) > self.limit:
            raise Refusal(429, "busy", retry_after=BUSY_SECONDS)
        arrivals: asyncio.Queue[Indexed | Exception | None] = asyncio.Queue()
        answers = [_Running(completer, request, index, arrivals) for index, (completer, request) in enumerate(asked)]
        self._running.update(answers)
        try:
            for answer in answers:
                answer.start()
            unfinished = len(answers)
            while unfinished:
                arrived = await arrivals.get()
                if isinstance(arrived, Exception):
                    raise arrived
                if arrived is None:
                    unfinished -= 1
                else:
                    yield arrived
        finally:
            self._running.difference_update(answers)
            for answer in answers:
                answer.cancel()

    def cancel_all(self) -> None:
        """End everything: the site is closing."""
        for answer in list(self._running):
            answer.cancel()


class _Running:
    """One answer and its thread."""

    def __init__(self, completer: Completer, request: CompletionRequest, index: int, arrivals: asyncio.Queue[Any]) -> None:
        self._completer, self._request, self._index, self._arrivals = completer, request, index, arrivals
        self._loop = asyncio.get_running_loop()
        self._cancelled = threading.Event()
        self._chunks: Iterator[CompletionChunk] | None = None

    def start(self) -> None:
        """Begin in a thread that does not keep the process alive."""
        threading.Thread(target=self._run, name=f"answer-{self._index}", daemon=True).start()

    def cancel(self) -> None:
        """End it at its next chunk at the latest; an iterator that can be closed from another thread ends at once."""
        self._cancelled.set()
        if self._chunks is not None:
            _close(self._chunks)

    def _run(self) -> None:
        try:
            self._chunks = self._completer.complete(self._request)
            if not self._cancelled.is_set():
                self._hand_on(self._chunks)
        except Exception as error:
            self._tell(error)
        finally:
            if self._chunks is not None:
                _close(self._chunks)
            self._tell(None)

    def _hand_on(self, chunks: Iterator[CompletionChunk]) -> None:
        for chunk in chunks:
            if self._cancelled.is_set():
                return
            self._tell((self._index, chunk))

    def _tell(self, what: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(self._arrivals.put_nowait, what)
        except RuntimeError:  # the loop is closed: nobody waits for this answer any more
            self._cancelled.set()


def _close(chunks: Iterator[CompletionChunk]) -> None:
    """Close an iterator; a generator that is at work in its thread refuses, and is closed there at its next chunk."""
    close: Callable[[], None] | None = getattr(chunks, "close", None)
    if close is not None:
        try:
            close()
        except ValueError:
            return


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """The result of `work`, which is cancelled if the client hangs up first; then `Refusal` 499, which nobody reads."""
    working = asyncio.ensure_future(work)
    hanging_up = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait((working, hanging_up), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Refusal(499, "client_gone")
    finally:
        for task in (working, hanging_up):
            task.cancel()
        await asyncio.gather(working, hanging_up, return_exceptions=True)


async def primed(stream: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """The same stream, begun: what goes wrong before the first chunk is raised here, while there still is a status to set."""
    try:
        first = await anext(stream)
    except StopAsyncIteration:
        return _nothing()
    except BaseException:
        await stream.aclose()
        raise
    return _continued(first, stream)


async def _continued(first: T, stream: AsyncGenerator[T]) -> AsyncGenerator[T]:
    async with aclosing(stream):
        yield first
        async for item in stream:
            yield item


async def _nothing() -> AsyncGenerator[Any]:
    for item in ():
        yield item


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
