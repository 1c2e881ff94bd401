"""The engine as a `Completer`: requests of many threads, answered together by one thread that alone touches the model.

    with EngineCompleter(engine, tokenizer, text=text, stop_ids=stop_ids(policy, tokenizer)) as completer:
        for chunk in completer.complete(request):
            print(chunk.text, end="")

An answer is cancelled, and its slot free before the next step, when its iterator is closed, dropped or left by an
exception. A reader that is slow, or stops reading, holds up nobody: its chunks wait for it.
"""

import atexit
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, Self

from instructloop.config import Text
from instructloop.errors import InstructLoopError, ModelUnavailable, first_line
from instructloop.protocols import CompletionChunk, CompletionRequest, Sampling
from instructloop.rollout.answer_text import AnswerText
from instructloop.rollout.engine import LocalEngine
from instructloop.rollout.slots import Event, Slots, Ticket
from instructloop.text.rendering import render_conversation, render_prompt
from instructloop.text.tokenizer import Tokenizer

WAITING = 64
"""Requests that may wait for a slot, unless said otherwise."""


class EngineCompleter:
    """Answers requests with one engine, as many at once as it has slots; implements `protocols.Completer`."""

    def __init__(self, engine: LocalEngine, tokenizer: Tokenizer, *, text: Text, stop_ids: frozenset[int], waiting: int = WAITING) -> None:
        """Start the thread; from now on the engine is its own. `text` says how prompts are rendered, `stop_ids` what ends an answer."""
        self.tokenizer, self.text, self.stop_ids = tokenizer, text, stop_ids
        self._engine, self._slots = engine, Slots(engine, waiting=waiting)
        self._awake = threading.Condition()
        self._swaps: deque[tuple[Mapping[str, Any], int, Future[None]]] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="decoding", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def num_unfinished(self) -> int:
        """Requests being answered or waiting."""
        return self._slots.num_live + self._slots.num_waiting

    def complete(self, request: CompletionRequest) -> "Answer":
        """The answer in chunks as they come.

        Raises `ContextExceeded` where prompt and answer do not fit, `Busy` where too many wait, `DataError` for what
        cannot be rendered, `ModelUnavailable` once closed. Ids in `sampling.stop_ids` end the answer beside the model's own.
        """
        prompt = self._render(request)
        sampling = self._fitted(request, len(prompt))
        pipe = _Pipe(AnswerText(self.tokenizer, request, prompt_tokens=len(prompt)))
        with self._awake:
            if self._closed:
                raise ModelUnavailable("the model is being shut down")
            ticket = self._slots.submit(prompt, sampling, request.seed, num_likeliest=request.top_logprobs or 0, tag=pipe)
            self._awake.notify()
        return Answer(pipe, ticket)

    def load(self, state: Mapping[str, Any], version: int) -> None:
        """Swap the weights: answers under way are finished with the old ones, requests that wait are answered with the new.

        Returns when it is done; raises `CheckpointError` for weights that do not fit, and the old ones stay.
        """
        done: Future[None] = Future()
        with self._awake:
            if self._closed:
                raise ModelUnavailable("the model is being shut down")
            self._swaps.append((state, version, done))
            self._awake.notify()
        done.result()

    def close(self) -> None:
        """End the thread after the step under way; unfinished answers raise `ModelUnavailable`."""
        with self._awake:
            self._closed = True
            self._awake.notify()
        self._thread.join()
        atexit.unregister(self.close)

    def _render(self, request: CompletionRequest) -> tuple[int, ...]:
        if request.messages:
            return render_conversation(self.tokenizer, request.messages, self.text)
        return render_prompt(self.tokenizer, request.prompt, self.text)

    def _fitted(self, request: CompletionRequest, prompt_tokens: int) -> Sampling:
        asked, room = request.sampling, self._slots.context - prompt_tokens
        tokens = min(asked.max_new_tokens, max(room, 1)) if request.fit_context else asked.max_new_tokens
        return replace(asked, max_new_tokens=tokens, stop_ids=asked.stop_ids | self.stop_ids)

    def _work(self) -> None:
        while self._wait_for_work():
            try:
                self._deliver(self._slots.step(admit=not self._swaps))
            except Exception as error:  # whatever breaks must not leave readers waiting
                self._fail_all(error)
            self._swap_when_free()
        self._fail_all(ModelUnavailable("the model was shut down before the answer was finished"))

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do; False when the thread is to end."""
        with self._awake:
            self._awake.wait_for(lambda: self.num_unfinished or self._swaps or self._closed)
            return not self._closed

    def _deliver(self, events: list[Event]) -> None:
        for event in events:
            pipe: _Pipe = event.ticket.tag
            chunk = pipe.text.add(event)
            if chunk is not None:
                pipe.arrivals.put(chunk)
                if chunk.finish_reason and not event.finish_reason:
                    self._slots.cancel(event.ticket)  # a stop text, of which the engine knows nothing

    def _swap_when_free(self) -> None:
        while self._swaps and not self._slots.num_live:
            state, version, done = self._swaps.popleft()
            try:
                self._engine.load(state, version)
            except Exception as error:  # it belongs to whoever called `load`
                done.set_exception(error)
            else:
                done.set_result(None)

    def _fail_all(self, error: Exception) -> None:
        known = error if isinstance(error, InstructLoopError) else ModelUnavailable(f"the model failed: {first_line(error)}")
        for ticket in self._slots.abandon():
            ticket.tag.arrivals.put(known)
        while self._closed and self._swaps:
            self._swaps.popleft()[2].set_exception(known)


class _Pipe:
    """From the decoding thread to a reader. The thread holds this and never the reader's iterator, whose end is a sign."""

    def __init__(self, text: AnswerText) -> None:
        self.text = text
        self.arrivals: SimpleQueue[CompletionChunk | Exception | None] = SimpleQueue()


class Answer(Iterator[CompletionChunk]):
    """The chunks of one answer. Closing it, from any thread, or dropping it cancels what is unfinished."""

    def __init__(self, pipe: _Pipe, ticket: Ticket) -> None:
        self._arrivals, self._ticket, self._over = pipe.arrivals, ticket, False

    def __next__(self) -> CompletionChunk:
        arrived = None if self._over else self._arrivals.get()
        if isinstance(arrived, CompletionChunk) and not self._over:
            self._over = arrived.finish_reason is not None
            return arrived
        self._over = True
        if isinstance(arrived, Exception):
            raise arrived
        raise StopIteration

    def close(self) -> None:
        """Cancel the answer; a reader that waits for a chunk meets the end."""
        if not self._over:
            self._over = True
            self._ticket.cancelled = True
            self._arrivals.put(None)

    def __del__(self) -> None:
        self.close()
